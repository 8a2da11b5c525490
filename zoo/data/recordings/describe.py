"""What was read of recordings, in sentences for the model card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zoo.data.recordings.parts import PARTS
from zoo.data.recordings.prepare import Window
from zoo.data.recordings.recordings import Recordings
from zoo.data.recordings.targets import Targets
from zoo.data.signature import IGNORED

_LISTED = 12
"""Largest number of classes that the description counts."""


def describe(
    recordings: Recordings,
    targets: Targets,
    parts: Sequence[NDArray[np.int64]],
    windows: Sequence[Sequence[Window]],
    *,
    by: str | None,
    window: int,
    step: int,
) -> str:
    """Return files, what was left out, lengths, classes, parts and windows as sentences.

    Args:
        recordings: those with a target.
        targets: their targets.
        parts: the recordings of each part.
        windows: the windows of each part.
        by: column of groups; None where there are none.
        window: steps of a window; 0 for whole recordings.
        step: distance of two windows.
    """
    lengths = recordings.lengths
    low, median, high = lengths.min(), int(np.median(lengths)), lengths.max()
    steps = f"{low:,} steps" if low == high else f"{low:,} to {high:,} steps (median {median:,})"
    sentences = [*recordings.summary, f"{len(recordings):,} recordings of {steps}"]
    if targets.labels:
        sentences.append(_classes(targets))
    else:
        sentences.append(f"To predict: {', '.join(targets.names)}")
    sentences.append(_parts(recordings, parts, by))
    if window:
        counts = ", ".join(f"{name} {len(part):,}" for name, part in zip(PARTS, windows, strict=True))
        sentences.append(f"Longer recordings are cut into windows of {window:,} steps, one every {step:,}: {counts}")
    return " ".join(f"{sentence}." for sentence in sentences)


def _classes(targets: Targets) -> str:
    counts = np.bincount(targets.values[targets.values != IGNORED], minlength=len(targets.labels))
    listed = [f"{name} {count:,}" for name, count in zip(targets.labels, counts.tolist(), strict=True)]
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    unit = "" if targets.label_by == "sequence" else " by step"
    return f"{len(listed)} classes{unit}: {', '.join(listed[:_LISTED])}{more}"


def _parts(recordings: Recordings, parts: Sequence[NDArray[np.int64]], by: str | None) -> str:
    groups = None if by is None else np.array(recordings.texts(by, "by"))
    pieces = []
    for name, rows in zip(PARTS, parts, strict=True):
        count = "" if groups is None else f" ({by}: {len(set(groups[rows].tolist())):,})"
        pieces.append(f"{name} {len(rows):,}{count}")
    return f"Parts of whole recordings{'' if by is None else f', none with a {by} of another'}: {', '.join(pieces)}"
