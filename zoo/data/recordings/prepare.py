"""Recordings as the arrays of a data set: features, windows over them, and their targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.data.caching.mapped import trim
from zoo.data.caching.space import MEMORY, Space
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


def batch(
    features: NDArray[np.float32], windows: list[Window], targets: Targets, space: Space = MEMORY, name: str = ""
) -> Part:
    """Return windows as one batch.

    Args:
        features: (steps, features) of all recordings.
        windows: see `cut`.
        targets: what they have as targets.
        space: where the arrays are made.
        name: of the part; the arrays are called ``NAME-x``, ``NAME-y`` and ``NAME-lengths``.
    """
    lengths = space.empty((len(windows),), np.int64, name=f"{name}-lengths")
    lengths[:] = [window.stop - window.start for window in windows]
    x = space.empty((len(windows), int(lengths.max()), features.shape[1]), np.float32, name=f"{name}-x")
    for row, window in zip(x, windows, strict=True):
        row[: window.stop - window.start] = features[window.start : window.stop]
        row[window.stop - window.start :] = 0
        trim()
    dtype, absent = (np.int64, IGNORED) if targets.labels else (np.float32, np.nan)
    columns = () if targets.labels else (len(targets.names),)
    if targets.label_by != "step":
        y = space.empty((len(windows), *columns), dtype, name=f"{name}-y")
        y[:] = [window.target for window in windows]
        return Part(x, y, lengths)
    y = space.empty((*x.shape[:2], *columns), dtype, name=f"{name}-y")
    for row, window in zip(y, windows, strict=True):
        row[: len(window.target)] = window.target
        row[len(window.target) :] = absent
        trim()
    return Part(x, y, lengths)
