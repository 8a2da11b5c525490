"""The data source ``recordings``: sequences of their own length, with a class or numbers for each, or for each step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import zoo
from zoo.data.caching.mapped import trim
from zoo.data.caching.rule import CacheRule, is_cached
from zoo.data.caching.space import MEMORY, Space
from zoo.data.preparation.form import Missing
from zoo.data.preparation.scales import Scaling, feature_scale, scale
from zoo.data.recordings.activities import activities
from zoo.data.recordings.describe import describe
from zoo.data.recordings.features import features, fit_features
from zoo.data.recordings.form import Reading, RecordingForm
from zoo.data.recordings.parts import PARTS, divide_recordings
from zoo.data.recordings.prepare import Part, Window, batch, cut
from zoo.data.recordings.read import ARRAYS, read_recordings
from zoo.data.recordings.read_tables import FILE, FOLDER, read_folder
from zoo.data.recordings.recordings import Recordings
from zoo.data.recordings.targets import LabelBy, Targets, read_targets, recognised_targets
from zoo.data.sources.prepared_recordings import Prepared, cached, input_files
from zoo.data.tables.date_column import DATE_NAMES

__all__ = ["RecordingsSource", "zoo_register_data"]

Names = Annotated[tuple[str, ...], Field(min_length=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
FILL = ", or set data.missing to 'previous', 'interpolate' or 'mask'"
"""Advice of a message about a missing value."""


class RecordingsSource(zoo.DataSource):
    """Recordings from a table, a folder, arrays or ``.ts`` files; without a file, generated ones of activities.

    Parts consist of whole recordings, and with ``by`` of whole groups of them, so that no window and no subject is in
    two parts. What is learnt of the features (categories, means, scales) is learnt from the training part.
    """

    name = "recordings"

    class Config(zoo.TableConfig):
        file: str | None = None
        """A table (CSV, TSV, Parquet, Arrow, JSON lines), a .npz file, or a .ts file; relative to the current folder.
        When this and folder are left out, generated recordings of activities."""
        test_file: str | None = None
        """The second .ts file of an archive, whose recordings are the test part."""
        folder: str | None = None
        """A folder in which each file is a recording, in any depth: tables, or .npy files (time, features)."""
        index: str | None = None
        """A table with a row for each recording: the path of its file in the folder, or its name in the table."""
        sequence: str | None = None
        """Column with the name of the recording of each row; in an index of a folder, of the files ('file' when left
        out)."""
        order: str | None = None
        """Column by which the rows of a recording are sorted. When left out, their order in the file, which must be
        that of a column called date, time, timestamp or datetime."""
        label: str | None = None
        """Column of classes. When this and targets are left out: y in arrays, the name of a file's own folder in
        folders."""
        targets: Names | None = None
        """Columns of numbers to predict."""
        label_by: LabelBy = "sequence"
        """sequence: a recording has one label; step: each step has its own, and one is predicted for each; majority and
        last: each step has its own, and that of a window is the most frequent one or that of its last row."""
        inputs: Names | None = None
        """Columns that are the features of a step. When left out, all that this spec does not name otherwise."""
        categories: Names | None = None
        """Inputs that are categories though they are numbers; texts and booleans are recognised."""
        static: Names | None = None
        """Columns of the index that are features too, the same at each step of a recording."""
        missing: Missing = "refuse"
        """Treatment of missing values: refuse: an error; previous: the value before in the same recording;
        interpolate: a straight line between the values before and after; mask: the value before, or the mean, and a
        feature 'NAME missing' of 0 and 1."""
        window: zoo.Size | None = None
        """Steps of the windows that longer recordings are cut into; whole recordings when left out."""
        step: zoo.Size | None = None
        """Distance of two windows; window when left out."""
        by: str | None = None
        """Column of groups, such as subjects, none of which is in two parts."""
        part: str | None = None
        """Column with the name of the part of a recording: train, validation, test. Without validation, it is drawn
        from the training part."""
        validation: Share = 0.15
        """Share of the recordings, or of the groups, for validation."""
        test: Share = 0.15
        """Share of the recordings, or of the groups, for testing."""
        input_scaling: Scaling = "standard"
        """Scale of each feature, from the training part: standard: mean 0 and standard deviation 1; min_max: from 0 to
        1; none: unscaled."""
        target_scaling: Scaling = "standard"
        """Scale of each target, like input_scaling."""
        cache: CacheRule = "auto"
        """Whether the prepared sequences are kept in a cache and mapped into memory, for files beyond it: auto: where
        reading the files would take more than half of the memory; true; false."""

    def load(self, config: zoo.Config) -> zoo.Dataset:
        assert isinstance(config, RecordingsSource.Config)
        _require_fields(config)
        files = input_files(config.file, config.test_file, config.folder, config.index)
        if not files.paths or not is_cached(config.cache, *files.paths):
            return self._prepared(config, MEMORY).dataset()
        return cached(files, config, lambda space: self._prepared(config, space))

    def _prepared(self, config: Config, space: Space) -> Prepared:
        """Return the sequences of the three parts and what describes them, whose arrays are made in a space."""
        recordings, reading = _read(config, space)
        label, numbers = _target_columns(config, recordings)
        recordings, targets = read_targets(recordings, label, numbers, config.label_by)
        parts = divide_recordings(
            recordings, _classes(recordings, targets), (config.validation, config.test), by=config.by, part=config.part
        )
        inputs = _inputs(config, recordings)
        made = fit_features(recordings.take(parts[0]), inputs, config.categories or (), config.missing)
        values = features(recordings, made, config.missing, FILL, space)
        window = config.window or 0
        step = config.step or window
        windows = [cut(recordings, rows, targets, window, step) for rows in parts]
        _require_room(recordings, windows, len(made), stored=space.folder is not None)
        train, validation, test = (
            batch(values, part, targets, space, name) for name, part in zip(PARTS, windows, strict=True)
        )
        lengths = any((part.lengths != train.x.shape[1]).any() for part in (train, validation, test))
        mean = config.label_by in ("sequence", "step")
        form = RecordingForm(reading, made, config.missing, window, step, mean, label or "")
        steps = _wide(values, np.isin(recordings.owners, parts[0]), space)
        signature = zoo.Signature(
            features=len(made),
            columns=form.names,
            input_scale=feature_scale(made, steps, config.input_scaling),
            categories=form.categories,
            form=form,
            lengths=lengths,
            labels=targets.labels,
            by_step=config.label_by == "step",
            targets=targets.names,
            target_scale=_target_scale(train, targets, config.target_scaling) if targets.names else None,
        )
        return Prepared(
            (train, validation, test),
            signature,
            describe(recordings, targets, form, parts, windows, by=config.by),
            _repeated(train, {"validation": validation, "test": test}),
        )


def _require_fields(config: RecordingsSource.Config) -> None:
    """Raise a `DataError` for fields that exclude or need each other."""
    excluded = (("file", "folder"), ("test_file", "folder"), ("label", "targets"), ("test_file", "part"))
    for first, second in excluded:
        if getattr(config, first) is not None and getattr(config, second) is not None:
            raise zoo.DataError(f"data.{first}: is given with data.{second}; give only one of them")
    needs = (("test_file", "file"), ("step", "window"))
    for first, second in needs:
        if getattr(config, first) is not None and getattr(config, second) is None:
            raise zoo.DataError(f"data.{first}: is given without data.{second}; give both, or neither")
    if config.step is not None and config.step > (config.window or 0):
        raise zoo.DataError(
            f"data.step: is {config.step:,}, expected at most {config.window:,}, the steps of a window, so that no "
            "step is left out"
        )
    path = Path(config.file or "")
    if config.file is not None and config.sequence is None and path.suffix.lower() not in ARRAYS and not path.is_dir():
        raise zoo.DataError(
            f"data.sequence: is required with a table; name the column of {config.file} with the recording of each row"
        )
    if config.index is not None and config.file is None and config.folder is None:
        raise zoo.DataError("data.index: is given without data.folder or data.file; give the recordings that it lists")
    if config.label_by in ("majority", "last") and config.window is None:
        raise zoo.DataError(f"data.label_by: is {config.label_by!r} without data.window; give the steps of a window")


def _read(config: RecordingsSource.Config, space: Space) -> tuple[Recordings, Reading]:
    """Return the recordings of the files, and how they were read."""
    reading = Reading(
        sequence=(config.sequence or "") if config.folder is None else "",
        key="" if config.index is None else config.sequence or FILE,
        order=config.order or "",
        index=Path(config.index or "").name,
        static=config.static is not None,
        features=tuple(name for name in config.inputs or () if name.lower() in DATE_NAMES),
        dialect=config.dialect(),
        dates=config.date_form(),
    )
    index = None if config.index is None else Path(config.index)
    test = None if config.test_file is None else Path(config.test_file)
    if config.folder is not None:
        recordings = read_folder(Path(config.folder), reading, index, space)
    elif config.file is not None and Path(config.file).is_dir():
        raise zoo.DataError(f"data.file: {config.file} is a folder; name it in data.folder")
    else:
        file = config.file
        recordings = activities() if file is None else read_recordings(Path(file), reading, index, test, space)
    return recordings, replace(reading, unnamed=recordings.unnamed)


def _target_columns(config: RecordingsSource.Config, recordings: Recordings) -> tuple[str | None, Sequence[str]]:
    """Return the column of classes, or the columns of numbers."""
    if config.label is not None or config.targets is not None:
        return config.label, config.targets or ()
    if config.file is None and config.folder is None:
        return "activity", ()
    if config.folder is not None and config.index is None:
        return FOLDER, ()
    label, targets = recognised_targets(recordings)
    if label is None and not targets:
        raise zoo.DataError(
            f"data.label: is required; name the column of {recordings.source} with the classes, or the numbers to "
            "predict in data.targets"
        )
    return label, targets


def _classes(recordings: Recordings, targets: Targets) -> NDArray[np.int64] | None:
    """Return the class of each recording, the most frequent one where its steps have their own."""
    if not targets.labels or targets.label_by == "sequence":
        return targets.values if targets.labels else None
    pairs = zip(recordings.offsets, recordings.offsets[1:], strict=False)
    values = [targets.values[start:stop] for start, stop in pairs]
    return np.array([np.bincount(steps[steps != zoo.IGNORED]).argmax() for steps in values])


def _inputs(config: RecordingsSource.Config, recordings: Recordings) -> tuple[str, ...]:
    label, numbers = _target_columns(config, recordings)
    answers = {label, *numbers}
    named = {config.sequence, config.order, config.by, config.part, *answers}
    default = tuple(name for name in recordings.steps.names if name not in named and name not in recordings.roles)
    inputs = (*(config.inputs or default), *(config.static or ()))
    for name in inputs:
        if inputs.count(name) > 1:
            raise zoo.DataError(f"data.inputs: names the column {name!r} twice; remove one of them")
        if name in answers:
            raise zoo.DataError(f"data.inputs: {name!r} is what the model has to predict; remove it")
    for name in config.categories or ():
        if name not in inputs:
            raise zoo.DataError(f"data.categories: {name!r} is no input, expected one of {', '.join(inputs)}")
    if not inputs:
        raise zoo.DataError(
            f"{recordings.source}: has no column besides those that the spec names; add one as a feature"
        )
    return inputs


def _require_room(recordings: Recordings, windows: Sequence[Sequence[Window]], count: int, *, stored: bool) -> None:
    """Raise an error where a part has no window, or the padded windows exceed the memory and are not ``stored``."""
    for name, part in zip(PARTS, windows, strict=True):
        if not part:
            raise zoo.DataError(f"{recordings.source}: no window of the part {name} has a target; add recordings to it")
    if stored:
        return
    longest = max(window.stop - window.start for part in windows for window in part)
    number = sum(map(len, windows))
    zoo.require_memory(
        longest * number * count * 4,
        f"{number:,} sequences, padded to the {longest:,} steps of the longest,",
        {"data.window": longest},
    )


def _target_scale(train: Part, targets: Targets, scaling: Scaling) -> zoo.Scale | None:
    """Return the scale of the targets of the training part, of which steps without a target do not count."""
    columns = [column[~np.isnan(column)] for column in train.y.reshape(-1, len(targets.names)).astype(np.float64).T]
    for name, column in zip(targets.names, columns, strict=True):
        if not len(column):
            raise zoo.DataError(f"data.targets: {name!r} has no value in the training part; add recordings that have")
    return scale(columns, scaling)


def _wide(values: NDArray[np.float32], chosen: NDArray[np.bool_], space: Space) -> NDArray[np.float64]:
    """Return chosen steps as float64; each feature is contiguous."""
    result = space.empty((int(chosen.sum()), values.shape[1]), order="F")
    for number in range(values.shape[1]):
        result[:, number] = values[chosen, number]
        trim()
    return result


def _repeated(train: Part, others: dict[str, Part]) -> dict[str, int]:
    """Count the sequences of other parts that the training part contains too."""

    def keys(part: Part) -> list[bytes]:
        digests = []
        for row, length in zip(part.x, part.lengths, strict=True):
            digests.append(blake2b(row[:length].tobytes()).digest())
            trim()
        return digests

    learnt = set(keys(train))
    return {name: sum(key in learnt for key in keys(part)) for name, part in others.items()}


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    """Register `RecordingsSource` as the data source ``recordings``."""
    return [RecordingsSource]
