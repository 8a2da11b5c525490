"""Faults that show only at some numbers of steps, or only in some steps."""

from __future__ import annotations

from tests.proof.mutants.conditions import (
    BATCH,
    TIME,
    above,
    both,
    even,
    exactly,
    from_index,
    index,
    negated_if,
    wrong_where,
)
from tests.proof.mutants.mutant import Mutant
from tests.proof.mutants.sizes import SIZES

LSTM, SCAN, STATES, TOKENS = "LSTM, trained", "LSTM as Scan", "LSTM, states", "GRU of tokens"
BY_STEP, LONG = "GRU as Scan, lengths", "RNN of 400 steps"

MUTANTS = [
    Mutant("wrong at one step", SCAN, wrong_where(exactly(TIME, 1))),
    Mutant("wrong at the data's own length", LSTM, wrong_where(exactly(TIME, 8))),
    Mutant("wrong at the data's own length", SCAN, negated_if(exactly(TIME, 8))),
    Mutant("wrong at the data's own length", LONG, wrong_where(exactly(TIME, 400))),
    Mutant(
        "wrong in batches of 64 of the data's own length",
        TOKENS,
        wrong_where(both(exactly(BATCH, 64), exactly(TIME, 8))),
    ),
    Mutant("wrong at a drawn length", LSTM, wrong_where(exactly(TIME, SIZES.time)), certain=False),
    Mutant("wrong at a drawn length", TOKENS, negated_if(exactly(TIME, SIZES.time)), certain=False),
    Mutant("wrong above 200 steps", LONG, wrong_where(above(TIME, 200))),
    Mutant("wrong above 200 steps", SCAN, wrong_where(above(TIME, 200)), certain=False),
    Mutant("wrong above a drawn length", LSTM, wrong_where(above(TIME, SIZES.time_bound))),
    Mutant("wrong at even lengths", STATES, wrong_where(even(TIME))),
    Mutant("wrong in the first step", BY_STEP, wrong_where(index(TIME, 0))),
    Mutant("wrong in the last step", BY_STEP, wrong_where(index(TIME, -1))),
    Mutant("wrong in the last half of the data's own length", LONG, wrong_where(from_index(TIME, 200))),
    Mutant("next state halved after its own length", STATES, wrong_where(exactly(TIME, 8), 0.5, "next_state_0_c")),
]
