"""Faults of lengths: dropped or wrong by one; a mask that is inverted or missing."""

from __future__ import annotations

import numpy as np
from onnx import helper

from tests.proof.mutants.graph import Graph
from tests.proof.mutants.mutant import NAN, Mutant, Mutation, body, of_type


def drop_lengths(node: str) -> Mutation:
    """Let a native node read all steps."""

    def drop(graph: Graph) -> None:
        graph.node(node).input[4] = ""

    return drop


def shift_lengths(node: str, by: int) -> Mutation:
    """Change the lengths that a native node reads, by at most the number of steps."""

    def shift(graph: Graph) -> None:
        graph.set("by", np.array(by, np.int32))
        graph.set("int32_zero", np.array(0, np.int32))
        graph.insert(
            "lengths/int32",
            helper.make_node("Add", ["lengths/int32:0", "by"], ["shifted"], "shift"),
            helper.make_node("Shape", ["x"], ["steps"], "steps", start=1, end=2),
            helper.make_node("Cast", ["steps"], ["steps_int32"], "steps_int32", to=6),
            helper.make_node("Min", ["shifted", "steps_int32"], ["within"], "within"),
        )
        graph.node(node).input[4] = "within"

    return shift


def leave_mask_out(graph: Graph) -> None:
    """Replace the mask of a Scan by true."""
    inside = body(graph, "layer_0/gru").graph
    (kept,) = [node for node in inside.node if node.op_type == "Where"]
    kept.CopyFrom(helper.make_node("Identity", [kept.input[1]], kept.output, kept.name))


def invert_mask(graph: Graph) -> None:
    (kept,) = of_type(body(graph, "layer_0/gru"), "Where")
    kept.input[1], kept.input[2] = kept.input[2], kept.input[1]


def shift_mask(by: int) -> Mutation:
    """Make the mask of a Scan longer or shorter; other masks stay."""

    def shift(graph: Graph) -> None:
        graph.set("by", np.array(by))
        limits = graph.node("lengths/limits").output[0]
        axis = graph.node("lengths/mask/by_step").input[1]
        graph.insert(
            "lengths/mask/by_step",
            helper.make_node("Add", [limits, "by"], ["limits"], "limits"),
            helper.make_node("LessOrEqual", [graph.node("lengths/mask").input[0], "limits"], ["mask"], "mask"),
            helper.make_node("Transpose", ["mask"], ["mask_turned"], "mask_turned", perm=[1, 0]),
            helper.make_node("Unsqueeze", ["mask_turned", axis], ["mask_by_step"], "mask_by_step"),
        )
        scan = graph.node("layer_0/gru")
        scan.input[len(scan.input) - 1] = "mask_by_step"

    return shift


def leave_scores_unmasked(graph: Graph) -> None:
    """Keep the scores beyond each length, which must be zero."""
    masked = graph.node("head/within_lengths")
    scores, output = masked.input[1], masked.output[0]
    (head,) = [node for node in graph.graph.node if node.output[0] == scores]
    graph.remove("head/within_lengths")
    head.output[0] = output


def mean_over_padding(graph: Graph) -> None:
    """Divide the sum by the number of all steps, with those of the padding."""
    graph.insert(
        "lengths/column",
        helper.make_node("Shape", ["x"], ["steps"], "steps", start=1, end=2),
        helper.make_node("Cast", ["steps"], ["steps_float"], "steps_float", to=1),
    )
    graph.node("pooling/mean").input[1] = "steps_float"


NATIVE, SCAN, TOKENS, SCAN_TOKENS = (
    "biLSTM, lengths",
    "GRU as Scan, lengths",
    "GRU of tokens",
    "GRU of tokens as Scan",
)

MUTANTS = [
    Mutant("lengths dropped", NATIVE, drop_lengths("layer_0/lstm")),
    Mutant("lengths dropped", TOKENS, drop_lengths("layer_0/gru")),
    Mutant("lengths one too long", NATIVE, shift_lengths("layer_0/lstm", 1)),
    Mutant("lengths one too long", TOKENS, shift_lengths("layer_0/gru", 1)),
    Mutant("lengths one too short", NATIVE, shift_lengths("layer_0/lstm", -1)),
    Mutant("lengths one too short", TOKENS, shift_lengths("layer_0/gru", -1)),
    Mutant("mask all true", SCAN, leave_mask_out, refusal=NAN),
    Mutant("mask all true", SCAN_TOKENS, leave_mask_out),
    Mutant("mask inverted", SCAN, invert_mask, refusal=NAN),
    Mutant("mask inverted", SCAN_TOKENS, invert_mask),
    Mutant("mask one step too long", SCAN, shift_mask(1), refusal=NAN),
    Mutant("mask one step too long", SCAN_TOKENS, shift_mask(1)),
    Mutant("mask one step too short", SCAN, shift_mask(-1)),
    Mutant("mask one step too short", SCAN_TOKENS, shift_mask(-1)),
    Mutant("scores of the padding not zero", SCAN, leave_scores_unmasked, refusal="numbers beyond the lengths"),
    Mutant("mean over the padding too", NATIVE, mean_over_padding),
]
