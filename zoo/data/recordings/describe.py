"""What was read of recordings, in sentences for the model card."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zoo.data.recordings.features import missing_counts
from zoo.data.recordings.form import RecordingForm
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
    form: RecordingForm,
    parts: Sequence[NDArray[np.int64]],
    windows: Sequence[Sequence[Window]],
    *,
    by: str | None,
) -> str:
    """Return files, what was left out, lengths, classes, parts and windows as sentences.

    Args:
        recordings: those with a target.
        targets: their targets.
        form: how they became features and windows.
        parts: the recordings of each part.
        windows: the windows of each part.
        by: column of groups; None where there are none.
    """
    lengths = recordings.lengths
    low, median, high = lengths.min(), int(np.median(lengths)), lengths.max()
    steps = f"{low:,} steps" if low == high else f"{low:,} to {high:,} steps (median {median:,})"
    sentences = [*recordings.summary, f"{len(recordings):,} recordings of {steps}"]
    if targets.labels:
        sentences.append(_classes(targets))
    else:
        sentences.append(f"To predict: {', '.join(targets.names)}")
    sentences += _features(recordings, form)
    sentences.append(_parts(recordings, parts, by))
    if form.window:
        counts = ", ".join(f"{name} {len(part):,}" for name, part in zip(PARTS, windows, strict=True))
        sentences.append(
            f"Longer recordings are cut into windows of {form.window:,} steps, one every {form.step:,}: {counts}"
        )
    return " ".join(f"{sentence}." for sentence in sentences)


def _features(recordings: Recordings, form: RecordingForm) -> list[str]:
    """Return the categories and the missing values of the features in sentences."""
    categories = [
        f"{feature.column} ({', '.join(feature.categories[:_LISTED])}{', ...' * (len(feature.categories) > _LISTED)})"
        for feature in form.features
        if feature.categories
    ]
    counts = {} if form.missing == "refuse" else missing_counts(recordings, form.features)
    missing = [f"{name} {count:,}" for name, count in counts.items()]
    sentences = [f"Categories: {', '.join(categories)}"] if categories else []
    return sentences + ([f"Missing values ({form.missing}): {', '.join(missing)}"] if missing else [])


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
