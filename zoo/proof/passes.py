"""Division of the disturbed runs of a batch into passes, so that memory is bounded."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from zoo.nn.model import Model

DRAWS = 10
"""With five draws, one of 200 correct models near chaos failed, at 1.5 times its budget; with ten, none of 400."""
ONE_SIDED = 4
"""Draws, of `DRAWS`, with one-sided errors; see `zoo.proof.disturbed`. With none, 13 of 160 inputs of correct RNNs
whose 64 units are all equal failed, at up to 1.6 times their budget."""
LARGEST = 400_000_000
"""Bytes that the arrays of a pass should need."""


class Pass(NamedTuple):
    """Part of the disturbed runs of a batch, computed at once."""

    rows: slice
    """Rows of the batch."""
    draws: range
    """Draws, of `DRAWS`; the last `ONE_SIDED` of all have one-sided errors."""

    @property
    def one_sided(self) -> int:
        """Number of its draws with one-sided errors."""
        return max(0, self.draws.stop - max(self.draws.start, DRAWS - ONE_SIDED))


def divide(rows: int, steps: int, width: int, weights: int = 0, *, split: bool = True) -> list[Pass]:
    """Divide all rows and draws of a batch into passes of about `LARGEST` bytes, of one row and one draw at least.

    Args:
        rows: rows of the batch.
        steps: number of steps.
        width: numbers that a row needs for each step; see `numbers_per_step`.
        weights: numbers that a draw needs once, for the errors of its weights.
        split: whether the rows may be divided; else each pass has all of them.

    Returns:
        The passes; all draws of some rows follow one another.
    """
    runs = max(1, LARGEST // (8 * steps * width))
    together = 1 if split else rows
    draws = min(DRAWS, max(1, runs // together), max(1, LARGEST // max(1, 8 * weights)))
    return [
        Pass(slice(start, end), range(before, after))
        for start, end in pairwise(_ends(rows, max(1, runs // DRAWS) if split else rows))
        for before, after in pairwise(_ends(DRAWS, draws))
    ]


def _ends(number: int, most: int) -> list[int]:
    """Divide a number into parts of nearly the same size, at most ``most``; return their limits, from 0 on."""
    parts = -(-number // most)
    return [number * part // parts for part in range(parts + 1)]


def numbers_per_step(model: Model) -> int:
    """Estimate how many numbers a layer keeps for each step of a row, at most.

    Those are its input and its output in the order of time and of reading, the outputs of its steps, and the largest
    product with its weights. A bidirectional LSTM of 512 units needs 70 % of the estimate.
    """
    return max(
        2 * cell.input_size
        + 3 * layer.output_size
        + max((parameter.shape[0] for parameter in cell.parameters() if parameter.dim() > 1), default=0)
        for layer in model.layers()
        for cell in layer.directed_cells
    )
