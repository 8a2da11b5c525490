"""A user's recordings as the inputs of a model, prepared as those that it was trained with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.preparation.predicting import AS_TRAINED
from zoo.data.recordings.columns import ArrayColumns, feature_names
from zoo.data.recordings.features import features
from zoo.data.recordings.form import RecordingForm
from zoo.data.recordings.read import read_recordings
from zoo.data.recordings.recordings import Recordings
from zoo.errors import DataError

Truth = list[tuple[str | float | None, ...]]
"""The class, or the numbers, of a recording or of each of its steps; None or NaN where there is none."""


def recording_inputs(path: Path, form: RecordingForm) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the features of each recording after its name: its file, with its own name where the file has several.

    Args:
        path: a folder, a table, a .npz, .npy or .ts file; what training takes.
        form: of the model's signature.

    Raises:
        DataError: the recordings cannot be read or prepared as in training.
    """
    reading = form.reading
    index = path / reading.index if reading.static and path.is_dir() else None
    recordings = read_recordings(path, reading, index)
    for name, steps in prepared_recordings(recordings, form):
        yield _name(path, name, len(recordings)), steps


def labelled_inputs(
    path: Path, form: RecordingForm, targets: Sequence[str], by_step: bool
) -> Iterator[tuple[str, NDArray[np.float32], Truth]]:
    """Yield the features of each recording after its name, and with its true classes or numbers.

    Args:
        path: see `recording_inputs`; in a folder the index of the training is read where it is there.
        form: of the model's signature.
        targets: the columns of numbers to predict; empty for classes, whose column the form names.
        by_step: whether each step has a class or numbers, rather than the whole recording.

    Raises:
        DataError: see `recording_inputs`; or the file lacks the column of the classes or numbers.
    """
    reading = form.reading
    index = path / reading.index if reading.index and path.is_dir() and (path / reading.index).is_file() else None
    recordings = read_recordings(path, reading, index)
    field = "targets" if targets else "label"
    columns = [_truth(recordings, name, field, by_step) for name in targets or (form.label,)]
    prepared = zip(prepared_recordings(recordings, form), pairwise(recordings.offsets.tolist()), strict=True)
    for number, ((name, steps), (start, stop)) in enumerate(prepared):
        rows = range(start, stop) if by_step else range(number, number + 1)
        yield _name(path, name, len(recordings)), steps, [tuple(column[row] for column in columns) for row in rows]


def _truth(recordings: Recordings, name: str, field: str, by_step: bool) -> Sequence[str | float | None]:
    """Return a column of classes or numbers, a value for each recording or step."""
    if field == "label":
        return recordings.find(name, field).columns.texts(name) if by_step else recordings.texts(name, field)
    numbers = recordings.find(name, field).columns.numbers(name) if by_step else recordings.numbers(name, field)
    return [float(number) for number in numbers]


def prepared_recordings(recordings: Recordings, form: RecordingForm) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the features (time, features) of each recording after its name.

    Args:
        recordings: with the columns of the form's features.
        form: of the model's signature.

    Raises:
        DataError: the recordings cannot be prepared as in training.
    """
    recordings, reading = _by_position(recordings, form), form.reading
    columns = [*recordings.steps.names, *(() if recordings.whole is None else recordings.whole.names)]
    if lacking := [name for name in form.inputs if name not in columns]:
        where = f"; features from an index need {reading.index} in the folder" if reading.static else ""
        raise DataError(
            f"{recordings.source}: has no column {lacking[0]!r}, expected {', '.join(form.inputs)}, the columns "
            f"that the model was trained with{where}; columns: {', '.join(columns[:12])}"
        )
    values = features(recordings, form.features, form.missing, AS_TRAINED)
    for name, (start, stop) in zip(recordings.ids, pairwise(recordings.offsets), strict=True):
        yield name, values[start:stop]


def _name(path: Path, name: str, count: int) -> str:
    if path.is_dir():
        return str(path / name)
    if path.suffix.lower() == ".ts":
        return name
    where = "standard input" if str(path) == "-" else str(path)
    return where if count == 1 else f"{where}[{name.removeprefix('[').removesuffix(']')}]"


def _by_position(recordings: Recordings, form: RecordingForm) -> Recordings:
    """Return recordings whose columns have the names of the inputs, which arrays without names get by position."""
    steps, names = recordings.steps, form.inputs
    if not isinstance(steps, ArrayColumns) or (count := recordings.unnamed) == 0:
        return recordings
    expected = form.reading.unnamed or len(names)
    if count != expected:
        raise DataError(
            f"{recordings.source}: has {count:,} features, expected {expected:,}: those that the model was trained "
            f"with, {', '.join(names)}"
        )
    if form.reading.unnamed:
        return recordings
    if category := next((feature for feature in form.features if feature.categories), None):
        raise DataError(
            f"{recordings.source}: is an array of numbers, and {category.column!r} has categories such as "
            f"{category.categories[0]!r}; give a table with the columns {', '.join(names)}"
        )
    arrays = dict(zip(names, (steps.arrays[name] for name in feature_names(count)), strict=True))
    return replace(recordings, steps=ArrayColumns(steps.source, arrays, steps.where))
