"""Sizes at which faults hide, drawn anew each day: batch sizes, lengths, chunks and tokens that no list names."""

from __future__ import annotations

import datetime
from typing import NamedTuple

import numpy as np

WORDS = 3000
"""Size of the vocabulary of the model of words."""


class Sizes(NamedTuple):
    """Sizes of the faults, and the seed that they follow from."""

    seed: int
    batch: int
    """A batch size from 6 to 63."""
    batch_bound: int
    """A batch size from 65 to 200, above which a fault shows."""
    time: int
    """A number of steps from 9 to 27."""
    time_bound: int
    """A number of steps from 51 to 199, above which a fault shows."""
    chunk: int
    """A chunk size from 8 to 40."""
    token: int
    """A token of the model of words."""

    def __str__(self) -> str:
        sizes = ", ".join(f"{name} {size}" for name, size in zip(self._fields[1:], self[1:], strict=True))
        return f"Drawn from the seed {self.seed}: {sizes}.".replace("_", " ")


def draw_sizes(seed: int) -> Sizes:
    """Draw the sizes of a seed."""
    generator = np.random.default_rng(seed)
    bounds = ((6, 64), (65, 201), (9, 28), (51, 200), (8, 41), (0, WORDS))
    return Sizes(seed, *(int(generator.integers(*bound)) for bound in bounds))


SIZES = draw_sizes(datetime.datetime.now(datetime.UTC).date().toordinal())
"""The sizes of today. Their seed is the number of the day, so that processes that run tests together agree on them."""
