"""Faults of a stream that show only in chunks of some sizes, or only after long streams."""

from __future__ import annotations

import numpy as np

from tests.proof.mutants.conditions import (
    BATCH,
    TIME,
    Nodes,
    above,
    both,
    even,
    exactly,
    negated_if,
    replaced,
    wrong_where,
)
from tests.proof.mutants.mutant import Mutant, Mutation
from tests.proof.mutants.sizes import SIZES


def clip_state(state: str, limit: float) -> Mutation:
    """Clip an output state."""

    def clip(nodes: Nodes, right: str) -> str:
        return nodes("Clip", right, nodes.constant(-limit, np.float32), nodes.constant(limit, np.float32))

    return replaced(state, clip)


CHUNKS = "LSTM for chunks"

MUTANTS = [
    Mutant("wrong in chunks of 1", CHUNKS, wrong_where(exactly(TIME, 1))),
    Mutant("wrong in chunks of 2", CHUNKS, wrong_where(exactly(TIME, 2))),
    Mutant("wrong in chunks of the run's own window", CHUNKS, wrong_where(exactly(TIME, 8))),
    Mutant("wrong in chunks above 200", CHUNKS, negated_if(above(TIME, 200)), certain=False),
    Mutant("wrong in chunks of a drawn size", CHUNKS, wrong_where(exactly(TIME, SIZES.chunk)), certain=False),
    Mutant("wrong in even chunks", CHUNKS, wrong_where(even(TIME))),
    Mutant("h halved after chunks of 3", CHUNKS, wrong_where(exactly(TIME, 3), 0.5, "next_state_1_h")),
    Mutant("c of layer 0 dropped after chunks of 2", CHUNKS, wrong_where(exactly(TIME, 2), 0.0, "next_state_0_c")),
    Mutant(
        "states dropped after chunks of a drawn size",
        CHUNKS,
        wrong_where(exactly(TIME, SIZES.chunk), 0.0, "next_state_1_c"),
        certain=False,
    ),
    Mutant(
        "h halved after chunks of 7 at batch 3",
        CHUNKS,
        wrong_where(both(exactly(TIME, 7), exactly(BATCH, 3)), 0.5, "next_state_0_h"),
        certain=False,
    ),
    Mutant("cell state clipped at 8", CHUNKS, clip_state("next_state_0_c", 8.0), certain=False),
]
