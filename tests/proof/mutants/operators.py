"""Faults of the recurrent operators: an attribute, a direction, an activation, a layer."""

from __future__ import annotations

import numpy as np
from onnx import helper

from tests.proof.mutants.graph import Graph
from tests.proof.mutants.mutant import Mutant, Mutation


def flip_linear_before_reset(graph: Graph) -> None:
    graph.attribute("layer_0/gru", linear_before_reset=0)


def set_linear_before_reset(graph: Graph) -> None:
    graph.attribute("layer_0/gru", linear_before_reset=1)


def flip_direction(graph: Graph) -> None:
    graph.attribute("layer_1/lstm", direction="reverse")


def harden_activation(graph: Graph) -> None:
    graph.attribute("layer_1/lstm", activations=["HardSigmoid", "Tanh", "Tanh"])


def relu_for_tanh(graph: Graph) -> None:
    graph.attribute("layer_0/rnn", activations=["Relu"])


def couple_gates(graph: Graph) -> None:
    graph.attribute("layer_1/lstm", input_forget=1)


def clip_cell(graph: Graph) -> None:
    graph.attribute("layer_0/rnn", clip=1.0)


def skip_layer(graph: Graph) -> None:
    """Connect layer 2 to the outputs of layer 0."""
    graph.node("layer_2/lstm").input[0] = graph.node("layer_1/lstm").input[0]


def misalign_reverse(graph: Graph) -> None:
    """Rotate the reverse half of layer 0 by one step, so that the last one comes first."""
    node = graph.node("layer_0/lstm")
    node.output[0] = "aligned"
    graph.set("starts", np.array([1]))
    graph.set("ends", np.array([2**31]))
    graph.set("zero", np.array([0]))
    graph.set("one", np.array([1]))
    graph.insert(
        "layer_0/lstm",
        helper.make_node("Split", ["aligned"], ["ahead", "back"], "split", axis=1, num_outputs=2),
        helper.make_node("Slice", ["back", "starts", "ends", "zero"], ["rest"], "rest"),
        helper.make_node("Slice", ["back", "zero", "one", "zero"], ["start"], "start"),
        helper.make_node("Concat", ["rest", "start"], ["late"], "late", axis=0),
        helper.make_node("Concat", ["ahead", "late"], ["layer_0/lstm:0"], "misaligned", axis=1),
    )


def start_with(value: float) -> Mutation:
    """Start with an initial state h of one number, in place of no state, which means zero."""

    def start(graph: Graph) -> None:
        graph.set("value", np.array(value, np.float32))
        graph.insert(
            "to_time_major",
            helper.make_node("Shape", ["to_time_major:0"], ["batch"], "batch", start=1, end=2),
            helper.make_node("Concat", ["directions", "batch", "hidden"], ["state_shape"], "state_shape", axis=0),
            helper.make_node("Expand", ["value", "state_shape"], ["state"], "state"),
        )
        graph.set("directions", np.array([1]))
        graph.set("hidden", np.array([12]))
        graph.node("layer_0/lstm").input.extend(["", "state"])

    return start


LSTM, GRU, RNN = "LSTM, trained", "GRU, trained", "RNN, trained"

MUTANTS = [
    Mutant("linear_before_reset flipped", GRU, flip_linear_before_reset),
    Mutant("linear_before_reset flipped", "GRU, reset before", set_linear_before_reset),
    Mutant("direction flipped", LSTM, flip_direction),
    Mutant("reverse direction misaligned by one", "biLSTM, trained", misalign_reverse),
    Mutant("one layer skipped", LSTM, skip_layer),
    Mutant("initial state of 0.01", LSTM, start_with(0.01)),
    Mutant("hard sigmoid for sigmoid", LSTM, harden_activation),
    Mutant("ReLU for tanh", RNN, relu_for_tanh),
    Mutant("input and forget gate coupled", LSTM, couple_gates),
    Mutant("cell clipped at 1", RNN, clip_cell),
]
