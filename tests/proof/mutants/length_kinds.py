"""Faults of lengths that show only for some kinds of lengths, or only for long ones."""

from __future__ import annotations

from onnx import TensorProto

from tests.proof.mutants.conditions import BATCH, TIME, Condition, Nodes, exactly, index, replaced, wrong_where
from tests.proof.mutants.mutant import Mutant, Mutation


def all_equal(nodes: Nodes) -> str:
    """Add the condition that all lengths are equal."""
    return nodes("Equal", nodes("ReduceMax", "lengths"), nodes("ReduceMin", "lengths"))


def none_full(nodes: Nodes) -> str:
    """Add the condition that no sequence fills the batch."""
    return nodes("Less", nodes("ReduceMax", "lengths"), nodes.size(TIME))


def all_full(nodes: Nodes) -> str:
    """Add the condition that every sequence fills the batch."""
    return nodes("Equal", nodes("ReduceMin", "lengths"), nodes.size(TIME))


def ignored_where(condition: Condition) -> Mutation:
    """Read all steps of a batch for which a condition holds."""

    def ignore(nodes: Nodes, lengths: str) -> str:
        return nodes("Where", condition(nodes), nodes.size(TIME), lengths)

    return replaced("lengths", ignore)


def shorter_in_row(number: int) -> Mutation:
    """Read one step less of a sequence that has more than one."""

    def shorten(nodes: Nodes, lengths: str) -> str:
        chosen = nodes("Reshape", index(BATCH, number)(nodes), nodes.constant([-1]))
        shorter = nodes("Max", nodes("Sub", lengths, nodes.constant(1)), nodes.constant(1))
        return nodes("Where", chosen, shorter, lengths)

    return replaced("lengths", shorten)


def through(dtype: int) -> Mutation:
    """Convert the lengths to a smaller type and back."""

    def convert(nodes: Nodes, lengths: str) -> str:
        return nodes("Cast", nodes("Cast", lengths, to=dtype), to=TensorProto.INT64)

    return replaced("lengths", convert)


NATIVE, SCAN, TOKENS = "biLSTM, lengths", "GRU as Scan, lengths", "GRU of tokens"

MUTANTS = [
    Mutant("wrong where all lengths are equal", NATIVE, wrong_where(all_equal)),
    Mutant("wrong where every sequence fills the batch", TOKENS, wrong_where(all_full)),
    Mutant("wrong where none fills the batch", NATIVE, wrong_where(none_full), certain=False),
    Mutant("wrong where none fills the batch", SCAN, wrong_where(none_full), certain=False),
    Mutant("first row one step too short", TOKENS, shorter_in_row(0)),
    Mutant("last row one step too short", TOKENS, shorter_in_row(-1)),
    Mutant("lengths dropped at batch 1", TOKENS, ignored_where(exactly(BATCH, 1)), certain=False),
    Mutant("lengths dropped where none fills the batch", NATIVE, ignored_where(none_full), certain=False),
    Mutant("lengths cast to uint8", NATIVE, through(TensorProto.UINT8), certain=False),
    Mutant("lengths cast to int16", TOKENS, through(TensorProto.INT16), certain=False),
    Mutant("lengths cast to float16", SCAN, through(TensorProto.FLOAT16), certain=False),
]
