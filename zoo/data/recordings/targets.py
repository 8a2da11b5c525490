"""What a model of recordings learns: a class or numbers, for each recording, window or step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.data.labels import sorted_labels
from zoo.data.recordings.columns import ArrayColumns, Texts
from zoo.data.recordings.recordings import Recordings, counted
from zoo.data.signature import IGNORED
from zoo.errors import DataError

LabelBy = Literal["sequence", "step", "majority", "last"]
LARGEST = float(np.finfo(np.float32).max)
ANSWERS = ("y", "label", "labels", "target", "targets")
"""Names of arrays, in lower case, that contain the targets."""


@dataclass(frozen=True)
class Targets:
    """The targets of recordings."""

    labels: tuple[str, ...]
    """Names of the classes; empty for numbers."""
    names: tuple[str, ...]
    """Names of the numbers; empty for classes."""
    values: NDArray[Any]
    """Classes, int64, `IGNORED` where there is none; or numbers, float64 (..., targets), NaN where there is none. The
    first axis counts the recordings where ``label_by`` is ``sequence``, and the steps of all of them elsewhere."""
    label_by: LabelBy

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Whether there is no target, by the first axis of ``values``; a step that has some of its numbers has one."""
        absent = self.values == IGNORED if self.labels else np.isnan(self.values)
        if not self.labels:
            absent = absent.all(1) if self.label_by == "step" else absent.any(1)
        return np.asarray(absent, bool)

    def of_window(self, values: NDArray[Any]) -> NDArray[Any] | int | None:
        """Return the target of a window from the values of its steps; None where it has none."""
        absent = values == IGNORED if self.labels else np.isnan(values).any(1)
        if self.label_by == "last":
            return None if absent[-1] else values[-1]
        return None if absent.all() else int(np.bincount(values[~absent]).argmax())


def read_targets(
    recordings: Recordings, label: str | None, targets: Sequence[str], label_by: LabelBy
) -> tuple[Recordings, Targets]:
    """Return the recordings that have a target, and their targets.

    Args:
        recordings: all recordings.
        label: column of classes; None where the targets are numbers.
        targets: columns of numbers.
        label_by: whether the columns have a value for each recording or for each step, and how steps give the target
            of a window.

    Raises:
        DataError: there is no such column, it varies within a recording, or all recordings have the same class.
    """
    columns = ("label", [label]) if label is not None else ("targets", list(targets))
    for name in columns[1]:
        if not recordings.find(name, columns[0]).by_step and label_by != "sequence":
            raise DataError(
                f"data.label_by: is {label_by!r}, and {name!r} has a value for each recording, not for each step; "
                "leave it out"
            )
    numbers = label is None
    read = _numbers(recordings, targets, label_by) if numbers else _classes(recordings, label or "", label_by)
    missing = read.missing
    lacking = missing if label_by == "sequence" else np.logical_and.reduceat(missing, recordings.offsets[:-1])
    if lacking.all():
        raise DataError(
            f"{recordings.source}: no recording has a value of {', '.join(columns[1])}, expected one in each"
        )
    if not lacking.any():
        return recordings, read
    kept = np.flatnonzero(~lacking)
    left_out = [recordings.ids[row] for row in np.flatnonzero(lacking)]
    note = f"{counted(left_out, 'recording')} left out without {' or '.join(columns[1])}, such as {left_out[0]}"
    values = read.values[kept if label_by == "sequence" else np.repeat(~lacking, recordings.lengths)]
    chosen = recordings.take(kept)
    return replace(chosen, summary=(*chosen.summary, note)), replace(read, values=values)


def _classes(recordings: Recordings, name: str, label_by: LabelBy) -> Targets:
    texts = recordings.texts(name, "label") if label_by == "sequence" else recordings.steps.texts(name)
    counts = Counter(text for text in texts if text is not None)
    labels = sorted_labels(set(counts))
    if len(labels) == 1:
        raise DataError(f"{recordings.source}: every {name!r} is {labels[0]!r}; add recordings of another class")
    numbers = {text: number for number, text in enumerate(labels)}
    return Targets(labels, (), _numbered(texts, numbers), label_by)


def _numbered(texts: Texts, numbers: dict[str, int]) -> NDArray[np.int64]:
    return np.array([IGNORED if text is None else numbers[text] for text in texts], np.int64)


def _numbers(recordings: Recordings, names: Sequence[str], label_by: LabelBy) -> Targets:
    if label_by == "majority":
        raise DataError("data.label_by: is 'majority', which numbers have none of; choose 'sequence', 'step' or 'last'")
    if label_by == "sequence":
        columns = [recordings.numbers(name, "targets") for name in names]
    else:
        columns = [recordings.steps.numbers(name) for name in names]
    values = np.stack(columns, 1)
    if (large := np.abs(values) > LARGEST).any():
        row, column = map(int, np.argwhere(large)[0])
        place = recordings.place(row) if label_by == "sequence" else recordings.steps.place(row, names[column])
        raise DataError(
            f"{place}: {values[row, column]} is more than float32 can hold as {names[column]!r}; replace it"
        )
    return Targets((), tuple(names), values, label_by)


def recognised_targets(recordings: Recordings) -> tuple[str | None, tuple[str, ...]]:
    """Return the column of classes, or the columns of numbers, of recordings that were read from arrays.

    They are recognised by the name ``y``, ``label`` or ``target``; integers, booleans and texts are classes, and
    floating-point numbers are numbers to predict.
    """
    for columns in (recordings.whole, recordings.steps):
        if not isinstance(columns, ArrayColumns):
            continue
        for name, values in columns.arrays.items():
            if name.lower() in ANSWERS:
                return (None, (name,)) if values.dtype.kind == "f" else (name, ())
        if several := tuple(name for name in columns.names if name.rstrip("0123456789").lower() in ANSWERS):
            return None, several
    return None, ()
