"""Alterations that look like faults and are none: by construction they compute the same, and must pass."""

from __future__ import annotations

import numpy as np
from onnx import helper

from tests.proof.mutants.around import dropout, pool_last_step, softmax_over
from tests.proof.mutants.graph import Graph, blocks
from tests.proof.mutants.mutant import Mutant, become_identity, do_nothing
from tests.proof.mutants.operators import start_with


def swap_halves_of_lstm_bias(graph: Graph) -> None:
    graph.set("layer_0/lstm/B", blocks(graph.weight("layer_0/lstm/B"), [1, 0]))


def swap_halves_of_gru_bias(graph: Graph) -> None:
    graph.set("layer_0/gru/B", blocks(graph.weight("layer_0/gru/B"), [1, 0]))


def permute_units(graph: Graph) -> None:
    """Permute the hidden units of the only layer in every weight."""
    order = np.random.default_rng(0).permutation(8)
    rows = np.concatenate([order + 8 * gate for gate in range(3)])
    recurrent = graph.weight("layer_0/gru/R")[:, rows]
    graph.set("layer_0/gru/W", graph.weight("layer_0/gru/W")[:, rows])
    graph.set("layer_0/gru/R", recurrent[:, :, order])
    graph.set("layer_0/gru/B", graph.weight("layer_0/gru/B")[:, np.concatenate([rows, rows + 24])])
    graph.set("head/weight", graph.weight("head/weight")[:, order])


def write_defaults(graph: Graph) -> None:
    graph.attribute("layer_1/lstm", activations=["Sigmoid", "Tanh", "Tanh"], input_forget=0)


def clip_far_away(graph: Graph) -> None:
    graph.attribute("layer_0/rnn", clip=1e6)


def leave_features_unmasked(graph: Graph) -> None:
    node = graph.node("layer_0/gru/within_lengths")
    become_identity(node, node.input[1])


def scores_as_sum(graph: Graph) -> None:
    """Replace the head's Gemm by a product and a sum."""
    node = graph.node("head/linear")
    source, weight, bias = node.input
    graph.set("head/turned", graph.weight(weight).T)
    node.CopyFrom(helper.make_node("MatMul", [source, "head/turned"], ["product"], "head/linear"))
    graph.insert("head/linear", helper.make_node("Add", ["product", bias], ["logits"], "sum"))


LSTM, RNN = "LSTM, trained", "RNN, trained"

EQUIVALENT = [
    Mutant("nothing", "GRU, trained", do_nothing, why="the file as it was exported"),
    Mutant(
        "input and recurrent bias of an LSTM swapped", LSTM, swap_halves_of_lstm_bias, why="both are added to each gate"
    ),
    Mutant(
        "input and recurrent bias of a GRU swapped",
        "GRU, reset before",
        swap_halves_of_gru_bias,
        why="with the reset before the product both stand outside of it",
    ),
    Mutant("hidden units in another order", "GRU", permute_units, why="in W, R, B and the head alike"),
    Mutant("activations written out", LSTM, write_defaults, why="they are the defaults"),
    Mutant("initial state of zeros given", LSTM, start_with(0.0), why="it is the default"),
    Mutant("cell clipped at a million", RNN, clip_far_away, why="nothing gets there"),
    Mutant("dropout in the mode of inference", LSTM, dropout(training=False), why="it returns its input"),
    Mutant(
        "dropout in the mode of training, between layers",
        LSTM,
        dropout(training=True),
        why="ONNX Runtime removes it before it runs, whatever its mode; other runtimes may not",
    ),
    Mutant(
        "last step for the final state, forward",
        LSTM,
        pool_last_step("layer_2/lstm"),
        why="of a forward layer without lengths it is the final state",
    ),
    Mutant("softmax over axis 1", "GRU, trained", softmax_over(1), why="of (batch, classes) it is the last one"),
    Mutant(
        "features of the padding not zero",
        "GRU as Scan, lengths",
        leave_features_unmasked,
        why="nothing but their own scores depends on them, and those are masked",
    ),
    Mutant("the head's Gemm as a product and a sum", "GRU, trained", scores_as_sum, why="it rounds once more"),
]
