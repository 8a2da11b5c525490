"""Faults of states: dropped, exchanged, or not updated from one chunk to the next."""

from __future__ import annotations

from onnx import helper

from tests.proof.mutants.graph import Graph
from tests.proof.mutants.mutant import Mutant, Mutation, become_identity


def drop_initial(part: int) -> Mutation:
    """Let an LSTM node start with zeros in place of the given state: part 0 is h, part 1 is c."""

    def drop(graph: Graph) -> None:
        graph.node("layer_0/lstm").input[5 + part] = ""

    return drop


def drop_initial_of_scan(graph: Graph) -> None:
    graph.node("layer_0/mgu").input[0] = "nothing"
    graph.insert("to_time_major", helper.make_node("Sub", ["state_0_h"] * 2, ["nothing"], "nothing"))


def exchange_on_the_way_in(graph: Graph) -> None:
    node = graph.node("layer_0/lstm")
    node.input[5], node.input[6] = node.input[6], node.input[5]


def exchange_on_the_way_out(left: str, right: str) -> Mutation:
    """Exchange two output states of the file."""

    def exchange(graph: Graph) -> None:
        first, second = (graph.node(f"next_{state}/without_direction") for state in (left, right))
        first.output[0], second.output[0] = second.output[0], first.output[0]

    return exchange


def stale(state: str) -> Mutation:
    """Return the input state as the output state."""

    def make_stale(graph: Graph) -> None:
        become_identity(graph.node(f"next_{state}/without_direction"), state)

    return make_stale


STATES, CHUNKS = "LSTM, states", "LSTM for chunks"

MUTANTS = [
    Mutant("initial h dropped", STATES, drop_initial(0)),
    Mutant("initial c dropped", STATES, drop_initial(1)),
    Mutant("initial h dropped", "MGU as Scan, states", drop_initial_of_scan),
    Mutant("h and c exchanged on the way in", STATES, exchange_on_the_way_in),
    Mutant("h and c exchanged on the way out", STATES, exchange_on_the_way_out("state_0_h", "state_0_c")),
    Mutant("final state is the initial one", STATES, stale("state_0_h")),
    Mutant("h stale from chunk to chunk", CHUNKS, stale("state_1_h")),
    Mutant("c stale from chunk to chunk", CHUNKS, stale("state_1_c")),
    Mutant("states of two layers exchanged", CHUNKS, exchange_on_the_way_out("state_0_h", "state_1_h")),
    Mutant("h and c exchanged from chunk to chunk", CHUNKS, exchange_on_the_way_out("state_0_h", "state_0_c")),
    Mutant("c dropped at each chunk", CHUNKS, drop_initial(1)),
]
