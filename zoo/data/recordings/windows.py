"""Long sequences cut into windows, and what windows answer put together again. Needs NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def window_starts(length: int, window: int, step: int) -> NDArray[np.int64]:
    """Return the first step of each window over a sequence.

    Windows begin every ``step`` steps. Where steps remain after the last of them, another one ends with the sequence,
    so that every step is in a window. A sequence that is not longer than a window is its only one.

    Args:
        length: steps of the sequence.
        window: steps of a window; 0 for the whole sequence.
        step: distance of two windows, from 1 to ``window``.

    Returns:
        (windows,) int64, increasing.
    """
    if not window or length <= window:
        return np.zeros(1, np.int64)
    starts = np.arange(0, length - window + 1, step)
    return starts if starts[-1] + window == length else np.append(starts, length - window)
