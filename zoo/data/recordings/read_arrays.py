"""Recordings from arrays: ``.npz`` and ``.npy`` files of NumPy, and ``.ts`` files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays_file import read_arrays
from zoo.data.caching.mapped import trim
from zoo.data.caching.space import MEMORY, Space
from zoo.data.recordings.columns import ArrayColumns, Columns, feature_names
from zoo.data.recordings.recordings import Recordings, counted
from zoo.data.ts_file import TsFile, read_ts
from zoo.errors import DataError

Array = NDArray[Any]
_STEPS = ("x", "data", "arr_0")
KINDS = "biufU"
"""Kinds of the dtypes of columns: numbers, booleans and texts."""
_BLOCK = 2**24
"""Bytes that are copied at a time."""


def read_npz(path: Path, sequence: str = "", space: Space = MEMORY) -> Recordings:
    """Read a ``.npz`` file.

    ``x`` (or ``X``) is (recordings, time, features), or (recordings, time) for a single feature, with the valid steps
    of each in ``lengths``; or (steps, features) for recordings of any lengths one after the other, with ``lengths``, or
    with ``offsets``, the first step of each (and optionally the number of all steps as the last). Names of the features
    are in ``columns``. Every other array of a value for each recording, or for each step, is a column of its name.

    Args:
        path: the file.
        sequence: name of an array with the names of the recordings; empty to number them from 0.
        space: where the steps are made; with a folder, arrays that are not compressed are mapped and copied by blocks.

    Raises:
        DataError: the file has no such arrays, or their shapes or lengths do not fit each other.
    """
    arrays = read_arrays(path, texts=True, mapped=space.folder is not None)
    lower = {name.lower(): name for name in reversed(arrays)}
    key = next((lower[name] for name in _STEPS if name in lower), None)
    if key is None:
        raise DataError(
            f"{path}: has no array x, only {', '.join(arrays)}; write it with numpy.savez(path, x=..., y=...)"
        )
    x = arrays.pop(key)
    columns = _taken(arrays, lower, "columns")
    lengths, offsets = _taken(arrays, lower, "lengths"), _taken(arrays, lower, "offsets")
    starts, padded = _starts(path, key, x, lengths, offsets)
    names = _feature_names(path, x, padded, columns)
    where = _place(path, starts)
    values = _steps(x, starts, space, padded=padded)
    steps: dict[str, Array] = {name: values[:, number] for number, name in enumerate(names)}
    whole: dict[str, Array] = {}
    left_out: list[str] = []
    for name, array in arrays.items():
        if padded and array.shape == x.shape[:2] and array.dtype.kind in KINDS:
            steps[name] = _steps(array, starts, space, padded=True)[:, 0]
        elif not _place_array(name, array, len(starts) - 1, int(starts[-1]), steps, whole):
            left_out.append(name)
    ids = _ids(path, sequence, whole, len(starts) - 1)
    others = "".join(f", {name}" for name in [*whole, *(name for name in steps if name not in names)])
    notes = (f"Left out for their shapes: {', '.join(left_out)}",) if left_out else ()
    return Recordings(
        str(path),
        ids,
        starts,
        ArrayColumns(str(path), steps, where),
        ArrayColumns(str(path), whole, lambda row, name: f"{path}: {name}[{row}]") if whole else None,
        roles=frozenset(steps) - frozenset(names),
        summary=(f"{path.name}: arrays {key} {x.shape}{others}", *notes),
    )


def _steps(x: Array, starts: NDArray[np.int64], space: Space, *, padded: bool) -> Array:
    """Return the valid steps of all recordings, (steps, features); in files each feature is contiguous.

    Args:
        x: (recordings, time) or (recordings, time, features) where ``padded``, else (steps,) or (steps, features).
        starts: (recordings + 1,) the first step of each recording, and the number of all.
        space: where the result is made.
        padded: whether the recordings have an axis of their own.
    """
    if space.folder is None:
        if not padded:
            return x.reshape(len(x), -1)
        valid = np.arange(x.shape[1]) < np.diff(starts)[:, None]
        steps = x.reshape(*x.shape[:2], -1)
        return steps.reshape(-1, steps.shape[2]) if valid.all() else steps[valid]
    axes = 2 if padded else 1
    result = space.empty((int(starts[-1]), math.prod(x.shape[axes:])), x.dtype, "F")
    count = max(1, _BLOCK // (math.prod(x.shape[1:]) * x.dtype.itemsize))
    for first in range(0, len(x), count):
        block = x[first : first + count]
        block = block.reshape(*block.shape[:axes], -1)
        if padded:
            rows = starts[first : first + count + 1]
            result[rows[0] : rows[-1]] = block[np.arange(x.shape[1]) < np.diff(rows)[:, None]]
        else:
            result[first : first + count] = block
        trim()
    return result


def _taken(arrays: dict[str, Array], lower: Mapping[str, str], name: str) -> Array | None:
    return arrays.pop(lower[name]) if name in lower else None


def _starts(
    path: Path, key: str, x: Array, lengths: Array | None, offsets: Array | None
) -> tuple[NDArray[np.int64], bool]:
    """Return the first step of each recording with the number of all, and whether x is a padded batch."""
    if x.dtype.kind not in "biuf":
        raise DataError(f"{path}: {key} is of type {x.dtype}, expected real numbers")
    if x.ndim not in (2, 3) or 0 in x.shape:
        raise DataError(
            f"{path}: {key} has the shape {x.shape}, expected (recordings, time, features), or (steps, features) with "
            "lengths or offsets"
        )
    for name, array in (("lengths", lengths), ("offsets", offsets)):
        if array is not None and (array.ndim != 1 or array.dtype.kind not in "iu" or not len(array)):
            raise DataError(f"{path}: {name} is {array.dtype} {array.shape}, expected integers (recordings,)")
    if offsets is not None:
        starts = offsets.astype(np.int64)
        starts = starts if starts[-1] == len(x) else np.append(starts, len(x))
        if x.ndim != 2 or starts[0] != 0 or (np.diff(starts) <= 0).any():
            raise DataError(
                f"{path}: offsets do not increase from 0 to at most {len(x):,}, the steps of {key} (steps, features); "
                "give the first step of each recording"
            )
        return starts, False
    if lengths is None:
        return np.arange(len(x) + 1) * x.shape[1], True
    ragged = x.ndim == 2 and len(lengths) != len(x)
    low, high = (1, len(x)) if ragged else (1, x.shape[1])
    wide = lengths.astype(np.int64)
    if wide.min() < low or wide.max() > high:
        row = int(np.argmax((wide < low) | (wide > high)))
        raise DataError(f"{path}: lengths[{row}] is {wide[row]:,}, expected {low} to {high:,}, the steps of {key}")
    if (wide.sum() != len(x)) if ragged else (len(wide) != len(x)):
        expected = f"{len(x):,} steps in all" if ragged else f"{len(x):,} of them, as {key} has recordings"
        raise DataError(f"{path}: lengths are {len(wide):,} with {wide.sum():,} steps in all, expected {expected}")
    return np.cumsum(np.concatenate([[0], wide])), not ragged


def _feature_names(path: Path, x: Array, padded: bool, columns: Array | None) -> tuple[str, ...]:
    count = 1 if padded and x.ndim == 2 else x.shape[-1]
    if columns is None:
        return feature_names(count)
    names = tuple(map(str, columns.ravel().tolist()))
    if len(set(names)) != count or len(names) != count:
        raise DataError(
            f"{path}: columns has {len(set(names))} different names, expected {count}, one for each feature"
        )
    return names


def _place(path: Path, starts: NDArray[np.int64]) -> Any:
    def where(row: int, name: str | None = None) -> str:
        owner = int(np.searchsorted(starts, row, side="right")) - 1
        column = "" if name is None else f", {name}"
        return f"{path}: recording [{owner}], step [{row - int(starts[owner])}]{column}"

    return where


def _place_array(
    name: str,
    array: Array,
    count: int,
    total: int,
    steps: dict[str, Array],
    whole: dict[str, Array],
) -> bool:
    """Put an array among the columns of steps or of recordings; return False where its shape fits neither."""
    if array.dtype.kind not in KINDS:
        return False
    if array.shape == (count,):
        whole[name] = array
    elif array.shape == (total,):
        steps[name] = array
    elif array.ndim == 2 and array.shape[0] in (count, total) and array.shape[1]:
        columns = whole if array.shape[0] == count else steps
        columns |= {
            f"{name}{number}" if array.shape[1] > 1 else name: array[:, number] for number in range(array.shape[1])
        }
    else:
        return False
    return True


def _ids(path: Path, sequence: str, whole: Mapping[str, Array], count: int) -> tuple[str, ...]:
    if not sequence:
        return tuple(f"[{number}]" for number in range(count))
    if sequence not in whole:
        raise DataError(f"{path}: has no array {sequence!r} with a name for each recording, which data.sequence names")
    ids = tuple(map(str, whole[sequence].tolist()))
    if len(set(ids)) < len(ids):
        twice = next(row for row, name in enumerate(ids) if name in ids[:row])
        raise DataError(f"{path}: {sequence}[{twice}]: {ids[twice]!r} names a second recording; give each its own name")
    return ids


def read_npy(path: Path, space: Space = MEMORY) -> Recordings:
    """Read a ``.npy`` file: (time, features) is one recording, (recordings, time, features) are several.

    Args:
        path: the file.
        space: where the steps are made; with a folder, the file is mapped and copied by blocks.

    Raises:
        DataError: the file is no such array.
    """
    x = read_arrays(path, mapped=space.folder is not None)["arr_0"]
    if x.dtype.kind not in "biuf" or x.ndim not in (1, 2, 3) or 0 in x.shape:
        raise DataError(
            f"{path}: is {x.dtype} {x.shape}, expected numbers (time, features) or (recordings, time, features)"
        )
    count, time, features = x.shape if x.ndim == 3 else (1, len(x), x.size // len(x))
    starts = np.arange(count + 1) * time
    values = _steps(x, starts, space, padded=x.ndim == 3)
    steps = {name: values[:, number] for number, name in enumerate(feature_names(features))}
    ids = (path.name,) if count == 1 else tuple(f"[{number}]" for number in range(count))
    columns = ArrayColumns(str(path), steps, _place(path, starts))
    return Recordings(str(path), ids, starts, columns, summary=(f"{path.name}: an array {x.shape}",))


def read_ts_files(path: Path, test: Path | None = None) -> Recordings:
    """Read a ``.ts`` file; with the archive's second file the parts of the recordings are theirs.

    The class or target of a recording is its column ``y``, the dimensions are ``x0``, ``x1`` and so on.

    Raises:
        DataError: a file is not of this form, or the second has other dimensions or classes.
    """
    files = [(path, read_ts(path))] + ([] if test is None else [(test, read_ts(test))])
    first = files[0][1]
    for other, content in files[1:]:
        if content.values[0].shape[1] != first.values[0].shape[1] or content.classes != first.classes:
            raise DataError(
                f"{other}: has {content.values[0].shape[1]} dimensions and the classes {', '.join(content.classes)}, "
                f"expected {first.values[0].shape[1]} and {', '.join(first.classes)} as in {path}"
            )
    values = [recording for _, content in files for recording in content.values]
    starts = np.cumsum([0, *map(len, values)])
    stacked = np.concatenate(values)
    lines = [f"{name}:{line}" for name, content in files for line in content.lines]
    steps = {name: stacked[:, number] for number, name in enumerate(feature_names(stacked.shape[1]))}

    def where(row: int, name: str | None = None) -> str:
        owner = int(np.searchsorted(starts, row, side="right")) - 1
        column = "" if name is None else f", {name}"
        return f"{lines[owner]}: step [{row - int(starts[owner])}]{column}"

    parts = [part for part, (_, content) in zip(("train", "test"), files, strict=False) for _ in content.values]
    return Recordings(
        str(path),
        tuple(lines) if test is None else tuple(f"{Path(line).name}" for line in lines),
        starts,
        ArrayColumns(str(path), steps, where),
        _answers(str(path), [content for _, content in files], lines),
        parts=None if test is None else tuple(parts),
        summary=tuple(f"{name.name}: {counted(content.values, 'recording')}" for name, content in files),
    )


def _answers(source: str, files: list[TsFile], lines: list[str]) -> Columns | None:
    answers = [answer for content in files for answer in content.answers]
    if len(answers) < len(lines):
        return None
    if not files[0].numbers:
        return ArrayColumns(source, {"y": np.array(answers)}, lambda row, _: lines[row])
    numbers = []
    for line, answer in zip(lines, answers, strict=True):
        try:
            numbers.append(float(answer))
        except ValueError:
            raise DataError(f"{line}: ends with {answer[:30]!r}, expected a number by @targetLabel") from None
    return ArrayColumns(source, {"y": np.array(numbers)}, lambda row, _: lines[row])
