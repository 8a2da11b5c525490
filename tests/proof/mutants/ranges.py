"""Faults that show only for inputs or results of some range."""

from __future__ import annotations

import numpy as np

from tests.proof.mutants.conditions import Nodes, replaced
from tests.proof.mutants.graph import Graph
from tests.proof.mutants.mutant import Mutant, Mutation


def clipped(value: str, low: float, high: float) -> Mutation:
    """Clip an input of the file or a value."""

    def clip(nodes: Nodes, right: str) -> str:
        return nodes("Clip", right, nodes.constant(low, np.float32), nodes.constant(high, np.float32))

    return replaced(value, clip)


def zero_above(limit: float) -> Mutation:
    """Set inputs to zero whose magnitude exceeds a limit; NaN stays."""

    def wrong(nodes: Nodes, x: str) -> str:
        beyond = nodes("Greater", nodes("Abs", x), nodes.constant(limit, np.float32))
        return nodes("Where", beyond, nodes.constant(0, np.float32), x)

    return replaced("x", wrong)


def round_above(limit: float) -> Mutation:
    """Round inputs whose magnitude exceeds a limit to whole numbers."""

    def wrong(nodes: Nodes, x: str) -> str:
        beyond = nodes("Greater", nodes("Abs", x), nodes.constant(limit, np.float32))
        return nodes("Where", beyond, nodes("Round", x), x)

    return replaced("x", wrong)


def with_clip(node: str, clip: float) -> Mutation:
    """Set the attribute ``clip`` of a recurrent node, which limits the inputs of its activations."""

    def set_clip(graph: Graph) -> None:
        graph.attribute(node, clip=clip)

    return set_clip


LOWEST, HIGHEST = -16.0, 32.0
"""Range of the wide inputs of a proof, for data from 0 to 16."""

MUTANTS = [
    Mutant("inputs clipped at the range of the data", "GRU", clipped("x", 0.0, 16.0)),
    Mutant("inputs clipped at the range of the wide inputs", "GRU", clipped("x", LOWEST, HIGHEST)),
    Mutant("inputs clipped at the range of the wide inputs", "LSTM as Scan", clipped("x", LOWEST, HIGHEST)),
    Mutant("inputs above 1e3 zeroed", "GRU", zero_above(1e3), certain=False),
    Mutant("large inputs rounded", "LSTM, trained", round_above(HIGHEST), certain=False),
    Mutant("logits clipped at 20", "RNN, trained", clipped("logits", -20.0, 20.0), certain=False),
    Mutant("clip of 30", "RNN, trained", with_clip("layer_0/rnn", 30.0), certain=False),
    Mutant("clip of 50", "LSTM, trained", with_clip("layer_1/lstm", 50.0), certain=False),
    Mutant("clip of 50", "RNN of 400 steps", with_clip("layer_0/rnn", 50.0), certain=False),
]
