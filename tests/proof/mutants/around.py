"""Faults outside the layers: encoder, dropout, pooling, readout, names and shapes."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, helper

from tests.proof.mutants.graph import Graph
from tests.proof.mutants.mutant import Mutant, Mutation


def drop_normaliser(graph: Graph) -> None:
    graph.node("to_time_major").input[0] = "x"
    for name in ("encoder/subtract_mean", "encoder/divide_by_std"):
        graph.remove(name)


def normalise_twice(graph: Graph) -> None:
    graph.insert(
        "encoder/divide_by_std",
        helper.make_node("Sub", ["encoder/divide_by_std:0", "encoder/mean"], ["centred"], "again/subtract"),
        helper.make_node("Div", ["centred", "encoder/std"], ["scaled"], "again/divide"),
    )
    graph.node("to_time_major").input[0] = "scaled"


def shift_normaliser(graph: Graph) -> None:
    """Scale each feature by the mean and deviation of its neighbour."""
    for part in ("mean", "std"):
        graph.set(f"encoder/{part}", np.roll(graph.weight(f"encoder/{part}"), 1))


def behind_layer_0(graph: Graph, node: NodeProto) -> None:
    """Insert a node with the output ``changed`` between the first two layers of an LSTM."""
    source = graph.node("layer_1/lstm").input[0]
    (before,) = [each.name for each in graph.graph.node if source in each.output]
    node.input.insert(0, source)
    graph.insert(before, node)
    graph.node("layer_1/lstm").input[0] = "changed"


def dropout(*, training: bool) -> Mutation:
    """Insert a Dropout between two layers."""

    def leave_dropout(graph: Graph) -> None:
        graph.set("ratio", np.array(0.1, np.float32))
        graph.set("training", np.array(training))
        behind_layer_0(graph, helper.make_node("Dropout", ["ratio", "training"], ["changed"], "dropout", seed=1))

    return leave_dropout


def drop_inputs(graph: Graph) -> None:
    """Insert a Dropout in training mode at the input."""
    graph.set("ratio", np.array(0.1, np.float32))
    graph.set("training", np.array(True))
    graph.node("encoder/subtract_mean").input[0] = "dropped"
    graph.graph.node.insert(0, helper.make_node("Dropout", ["x", "ratio", "training"], ["dropped"], "dropout", seed=1))


def leave_dropout_scale(graph: Graph) -> None:
    """Multiply by the factor of a dropout of 0.1 in training."""
    graph.set("scale", np.array(1 / 0.9, np.float32))
    behind_layer_0(graph, helper.make_node("Mul", ["scale"], ["changed"], "scaled"))


def pool_last_step(layer: str) -> Mutation:
    """Pool ``output[:, -1]`` in place of each direction's final state, a common mistake."""

    def pool(graph: Graph) -> None:
        node = graph.node(layer)
        final = node.output[1]
        node.output[0], node.output[1] = "outputs", ""
        graph.set("minus_one", np.array(-1))
        graph.insert(layer, helper.make_node("Gather", ["outputs", "minus_one"], [final], "last_step", axis=0))

    return pool


def pool_max_for_mean(graph: Graph) -> None:
    graph.node("pooling/mean").op_type = "ReduceMax"


def pool_mean_for_last(graph: Graph) -> None:
    node = graph.node("layer_2/lstm")
    final = node.output[1]
    node.output[0], node.output[1] = "outputs", ""
    graph.set("zero", np.array([0]))
    graph.insert("layer_2/lstm", helper.make_node("ReduceMean", ["outputs", "zero"], ["mean"], "mean", keepdims=0))
    graph.insert("mean", helper.make_node("Identity", ["mean"], [final], "as_final"))


def softmax_over(axis: int) -> Mutation:
    """Set the axis of the softmax: 0 is the batch; 1 is time where each step is scored, otherwise the classes."""

    def turn(graph: Graph) -> None:
        graph.attribute("readout/softmax", axis=axis)

    return turn


def log_softmax(graph: Graph) -> None:
    graph.node("readout/softmax").op_type = "LogSoftmax"


def exchange_outputs(graph: Graph) -> None:
    graph.graph.output[0].name, graph.graph.output[1].name = "probabilities", "logits"
    graph.node("head/linear").output[0] = "probabilities"
    graph.node("readout/softmax").input[0], graph.node("readout/softmax").output[0] = "probabilities", "logits"


def rename_output(graph: Graph) -> None:
    graph.graph.output[0].name = "scores"
    graph.node("head/linear").output[0] = graph.node("readout/softmax").input[0] = "scores"


def freeze(dimension: int, size: int) -> Mutation:
    """Fix the size of one dimension of the input, as in a trace."""

    def freeze_dimension(graph: Graph) -> None:
        graph.graph.input[0].type.tensor_type.shape.dim[dimension].dim_value = size

    return freeze_dimension


LSTM, GRU, RNN = "LSTM, trained", "GRU, trained", "RNN, trained"

MUTANTS = [
    Mutant("normaliser missing", GRU, drop_normaliser),
    Mutant("normaliser twice", RNN, normalise_twice),
    Mutant("features' scales shifted by one", "GRU", shift_normaliser),
    Mutant("dropout of the input left in", LSTM, drop_inputs),
    Mutant("scale of the dropout left in", LSTM, leave_dropout_scale),
    Mutant("last step for the final states", GRU, pool_last_step("layer_1/gru")),
    Mutant("mean for the final state", LSTM, pool_mean_for_last),
    Mutant("maximum for the mean", "biLSTM, trained", pool_max_for_mean),
    Mutant("softmax over the batch", GRU, softmax_over(0)),
    Mutant("softmax over the time", "GRU as Scan, lengths", softmax_over(1)),
    Mutant("logarithm of the probabilities", GRU, log_softmax),
    Mutant("outputs exchanged", GRU, exchange_outputs),
    Mutant("output renamed", GRU, rename_output, refusal="the outputs are scores, probabilities"),
    Mutant("batch frozen at 1", GRU, freeze(0, 1), refusal="ONNX Runtime fails on (3, 28, 8)"),
    Mutant("time frozen at 8", GRU, freeze(1, 8), refusal="takes exactly 8 steps"),
]
