"""A user's recordings as the inputs of a model, prepared as those that it was trained with."""

from __future__ import annotations

from collections.abc import Iterator
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
    recordings = _by_position(read_recordings(path, reading, index), form)
    columns = [*recordings.steps.names, *(() if recordings.whole is None else recordings.whole.names)]
    if lacking := [name for name in form.inputs if name not in columns]:
        where = f"; features from an index need {reading.index} in the folder" if reading.static else ""
        raise DataError(
            f"{recordings.source}: has no column {lacking[0]!r}, expected {', '.join(form.inputs)}, the columns "
            f"that the model was trained with{where}; columns: {', '.join(columns[:12])}"
        )
    values = features(recordings, form.features, form.missing, AS_TRAINED)
    for name, (start, stop) in zip(recordings.ids, pairwise(recordings.offsets), strict=True):
        yield _name(path, name, len(recordings)), values[start:stop]


def _name(path: Path, name: str, count: int) -> str:
    if path.is_dir():
        return str(path / name)
    if path.suffix.lower() == ".ts":
        return name
    return str(path) if count == 1 else f"{path}[{name.removeprefix('[').removesuffix(']')}]"


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
