"""Faults that show only at some batch sizes, or only in some rows of a batch."""

from __future__ import annotations

from tests.proof.mutants.conditions import BATCH, TIME, above, both, even, exactly, index, negated_if, odd, wrong_where
from tests.proof.mutants.mutant import Mutant
from tests.proof.mutants.sizes import SIZES

LSTM, SCAN, STATES, TOKENS = "LSTM, trained", "LSTM as Scan", "LSTM, states", "GRU of tokens"
CHUNKS, BY_STEP = "LSTM for chunks", "GRU as Scan, lengths"

MUTANTS = [
    Mutant("wrong at batch 1", SCAN, wrong_where(exactly(BATCH, 1))),
    Mutant("wrong at batch 2", "GRU", wrong_where(exactly(BATCH, 2))),
    Mutant("wrong at batch 2", CHUNKS, wrong_where(exactly(BATCH, 2))),
    Mutant("wrong at batch 4", LSTM, negated_if(exactly(BATCH, 4)), certain=False),
    Mutant("wrong at batch 32", SCAN, wrong_where(exactly(BATCH, 32)), certain=False),
    Mutant("wrong at a drawn batch size", LSTM, wrong_where(exactly(BATCH, SIZES.batch)), certain=False),
    Mutant("wrong at a drawn batch size", CHUNKS, wrong_where(exactly(BATCH, SIZES.batch)), certain=False),
    Mutant("wrong above batch 64", TOKENS, wrong_where(above(BATCH, 64)), certain=False),
    Mutant("wrong above batch 64", LSTM, negated_if(above(BATCH, 64)), certain=False),
    Mutant("wrong above a drawn batch size", SCAN, wrong_where(above(BATCH, SIZES.batch_bound)), certain=False),
    Mutant("wrong at even batch sizes", TOKENS, wrong_where(even(BATCH))),
    Mutant("wrong in the first row", LSTM, wrong_where(index(BATCH, 0))),
    Mutant("wrong in the last row", SCAN, wrong_where(index(BATCH, -1))),
    Mutant("wrong in odd rows", TOKENS, wrong_where(odd(BATCH))),
    Mutant(
        "wrong in the last row of batches above 64",
        LSTM,
        wrong_where(both(above(BATCH, 64), index(BATCH, -1))),
        certain=False,
    ),
    Mutant(
        "next state halved at batch 4", STATES, wrong_where(exactly(BATCH, 4), 0.5, "next_state_0_h"), certain=False
    ),
    Mutant(
        "wrong in row 63 from step 100 on",
        BY_STEP,
        wrong_where(both(index(BATCH, 63), above(TIME, 100))),
        certain=False,
    ),
]
