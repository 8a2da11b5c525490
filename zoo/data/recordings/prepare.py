"""Recordings as the arrays of a data set: features, windows over them, and their targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.data.recordings.recordings import Recordings
from zoo.data.recordings.targets import Targets
from zoo.data.recordings.windows import window_starts
from zoo.data.signature import IGNORED


class Window(NamedTuple):
    """Steps of a recording that are one sequence of a data set."""

    start: int
    """First step, counted over all recordings."""
    stop: int
    """Step after the last one."""
    target: Any
    """Class or numbers of the window; classes or numbers of its steps where each step has its own."""


@dataclass(frozen=True)
class Part:
    """Sequences of a part as one batch, padded with zeros at the end."""

    x: NDArray[np.float32]
    """(sequences, time, features)."""
    y: NDArray[Any]
    """See `zoo.Split.y`."""
    lengths: NDArray[np.int64]
    """(sequences,) valid steps."""


def cut(recordings: Recordings, rows: NDArray[np.int64], targets: Targets, window: int, step: int) -> list[Window]:
    """Return the windows over some recordings that have a target, in the order of the recordings.

    Args:
        recordings: all recordings.
        rows: the recordings of a part.
        targets: see `zoo.data.recordings.targets.read_targets`.
        window: steps of a window; 0 for whole recordings.
        step: distance of two windows.
    """
    windows = []
    for row in rows:
        start, stop = map(int, recordings.offsets[row : row + 2])
        for first in (start + window_starts(stop - start, window, step)).tolist():
            last = min(first + window, stop) if window else stop
            if targets.label_by == "sequence":
                target = targets.values[row]
            elif targets.label_by == "step":
                target = targets.values[first:last]
                if (target == IGNORED).all() if targets.labels else np.isnan(target).all():
                    continue
            else:
                target = targets.of_window(targets.values[first:last])
                if target is None:
                    continue
            windows.append(Window(first, last, target))
    return windows


def batch(features: NDArray[np.float32], windows: list[Window], targets: Targets) -> Part:
    """Return windows as one batch.

    Args:
        features: (steps, features) of all recordings.
        windows: see `cut`.
        targets: what they have as targets.
    """
    lengths = np.array([window.stop - window.start for window in windows], np.int64)
    x = np.zeros((len(windows), int(lengths.max()), features.shape[1]), np.float32)
    for row, window in zip(x, windows, strict=True):
        row[: window.stop - window.start] = features[window.start : window.stop]
    if targets.label_by != "step":
        y = np.array([window.target for window in windows], np.int64 if targets.labels else np.float32)
        return Part(x, y, lengths)
    shape = x.shape[:2] if targets.labels else (*x.shape[:2], len(targets.names))
    y = np.full(shape, IGNORED, np.int64) if targets.labels else np.full(shape, np.nan, np.float32)
    for row, window in zip(y, windows, strict=True):
        row[: len(window.target)] = window.target
    return Part(x, y, lengths)
