"""Faults by chance: a file that gives other results for the same input."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from tests.proof.mutants.conditions import Nodes, branch, replaced
from tests.proof.mutants.mutant import Mutant, Mutation


def noise(scale: float) -> Mutation:
    """Add normal noise to the logits."""

    def add(nodes: Nodes, right: str) -> str:
        return nodes("Add", right, nodes("RandomNormalLike", right, scale=scale))

    return replaced("logits", add)


def half_in_one_of(runs: int) -> Mutation:
    """Halve the logits in one run of ``runs``, on average."""

    def halve(nodes: Nodes, right: str) -> str:
        half = nodes("Mul", right, nodes.constant(0.5, np.float32))
        number = nodes("RandomUniform", dtype=TensorProto.FLOAT, shape=[1], low=0.0, high=1.0)
        rare = nodes("Less", number, nodes.constant(1 / runs, np.float32))
        return nodes("If", rare, then_branch=branch("Identity", half), else_branch=branch("Identity", right))

    return replaced("logits", halve)


def dropped_at_random(share: float) -> Mutation:
    """Set each logit to zero with a probability."""

    def drop(nodes: Nodes, right: str) -> str:
        odds = nodes("Expand", nodes.constant(1 - share, np.float32), nodes("Shape", right))
        return nodes("Mul", right, nodes("Bernoulli", odds))

    return replaced("logits", drop)


REPEATS = "runs of one input differ"
"""Part of the reason where runs of one input are not bit-identical."""

MUTANTS = [
    Mutant("noise of 1e-8 on the logits", "GRU, trained", noise(1e-8), refusal=REPEATS),
    Mutant("noise of 3e-8 on the logits", "LSTM as Scan", noise(3e-8), refusal=REPEATS),
    Mutant("half the answer in one run of 30", "GRU", half_in_one_of(30), certain=False),
    Mutant("a logit in 1,000 dropped at random", "GRU, trained", dropped_at_random(1e-3), certain=False),
]
