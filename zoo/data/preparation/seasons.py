"""Rows from which seasonal persistence predicts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["season_before"]


def season_before(
    rows: NDArray[np.int64], first: NDArray[np.int64], season: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return for each target row the row at the same place of the newest season that is known before the first of them.

    Args:
        rows: (windows, steps) target rows of each window, one after the other.
        first: (windows, 1) first row of its series.
        season: rows of a season.

    Returns:
        The rows (windows, steps), and whether the series has them; where not, the row is its first.
    """
    source = rows - season * (np.arange(rows.shape[1]) // season + 1)
    return np.maximum(source, first), source >= first
