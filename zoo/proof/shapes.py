"""Shapes of a proof that follow from the data, or are drawn so that nobody can foresee them.

The cost of a proof is that of its exact results, which grows with the number of different sequences and of steps, and
that of the runs of the file, which grows with batch times steps. Both are bounded here, in units of the data's own
number of steps, so that a proof grows no faster than the work of its model:

- Drawn numbers are stratified: the logarithmic range has a stratum for each draw, and each stratum gives one number. So
  about one in eight times is above twice the data's longest sequence, whatever the seed.
- The drawn times are paired with the drawn batches at random, and again until the sum of batch times steps is at most
  `WORK` sequences of the data's longest.
- The rows of a batch repeat few different sequences; see `different_rows`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from zoo.data.dataset import Split

DRAWN = 8
"""Number of drawn shapes; ten times as many in a thorough proof."""
THOROUGH = 10
LARGEST_BATCH = 256
LONGEST = 4
"""Largest drawn time, in units of the data's longest sequence."""
WORK = 128
"""Most work of all drawn shapes together: sequences of the data's longest."""
FEWEST_STEPS = 16
"""Data with fewer steps count as so many where the work is bounded."""
ROW_STEPS = 100
"""Most steps of all different sequences of a batch together; a single one may have more."""
MOST_ROWS = 8
"""Most different sequences of a batch."""
_ATTEMPTS = 200

Shape = tuple[int, int]
"""(batch, time)."""


class OwnLengths(NamedTuple):
    """Numbers of steps of the data's sequences."""

    shortest: int
    usual: int
    """The median."""
    longest: int

    @classmethod
    def of(cls, sample: Split) -> OwnLengths:
        """Return the lengths of a sample; all are equal where it has none."""
        if sample.lengths is None:
            return cls(*[int(sample.x.shape[1])] * 3)
        lengths = np.sort(sample.lengths.numpy())
        return cls(int(lengths[0]), int(lengths[len(lengths) // 2]), int(sample.x.shape[1]))


def own_shapes(lengths: OwnLengths, batches: tuple[int, ...]) -> list[Shape]:
    """Return the shapes in which the data come: the usual length in every batch, the shortest and the longest in one.

    Args:
        lengths: those of the data.
        batches: batch sizes in which the model is used.
    """
    usual = [(batch, lengths.usual) for batch in batches]
    return list(dict.fromkeys([*usual, (3, lengths.shortest), (3, lengths.longest)]))


def drawn_shapes(longest: int, generator: np.random.Generator, *, thorough: bool = False) -> list[Shape]:
    """Draw shapes log-uniformly: batch from 1 to `LARGEST_BATCH`, time from 1 to `LONGEST` times the data's longest.

    Args:
        longest: steps of the data's longest sequence.
        generator: source of the drawn numbers.
        thorough: draw `THOROUGH` times as many.

    Returns:
        `DRAWN` shapes, or `THOROUGH` times as many, in a drawn order.
    """
    count = DRAWN * (THOROUGH if thorough else 1)
    batches = log_uniform(LARGEST_BATCH, count, generator)
    times = log_uniform(LONGEST * longest, count, generator)
    most = WORK * max(longest, FEWEST_STEPS) * count // DRAWN
    for _ in range(_ATTEMPTS):
        if int(batches @ times) <= most:
            break
        batches = generator.permutation(batches)
    else:  # the pairing with the least work
        batches = np.sort(batches)[np.argsort(np.argsort(-times, kind="stable"), kind="stable")]
    return [(int(batch), int(time)) for batch, time in zip(batches, times, strict=True)]


def log_uniform(largest: int, count: int, generator: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Draw ``count`` numbers from 1 to ``largest``, one in each part of its logarithmic range, in a drawn order."""
    share = (generator.permutation(count) + generator.random(count)) / count
    return np.minimum(np.exp(share * math.log(largest + 1)).astype(np.int64), largest)


def different_rows(batch: int, steps: int, most: int = MOST_ROWS, *, least: int = 1) -> int:
    """Return the number of different sequences in a batch; the other rows repeat them.

    Rows are independent, so a repeated row shows the same of the file as another one would, and needs no exact result
    of its own.

    Args:
        batch: rows of the batch.
        steps: steps of each row.
        most: most different rows, whatever the number of steps.
        least: fewest different rows of a batch that has so many; 2 for different lengths in one batch.
    """
    return min(batch, most, max(least, ROW_STEPS // steps))
