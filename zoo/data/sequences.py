"""Readers of the input of ``zoo predict``: sequences of numbers from an array or a table. Needs no torch."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from zoo.data.arrays import require_finite, require_kind, to_float32
from zoo.data.csvfile import MISSING_MARKS
from zoo.data.datafile import open_data
from zoo.data.recordings.read_arrays import read_npz
from zoo.data.tables.read import SUFFIXES, read_table
from zoo.errors import DataError

_NOT_NAMES = {"inf", "infinity"} | MISSING_MARKS
"""Cells that begin with a letter and are no names of columns: numbers and marks for missing numbers, in lower case."""


def read_sequences(path: Path, features: int) -> NDArray[np.float32]:
    """Read sequences of numbers from an array or a table.

    A ``.npy`` file contains (time, features) or (sequences, time, features), any real dtype. A table, of any format of
    `zoo.data.tables`, contains one sequence: a row for each step, a column for each feature. The first line of a CSV
    file is a header if every cell begins with a letter and none is a number or a mark for a missing one, so that a
    faulty first step is not mistaken for a header.

    Args:
        path: the file; ``-`` for a CSV file from the standard input.
        features: number of features that the model takes.

    Returns:
        (sequences, time, features), contiguous, finite, no axis of size 0.

    Raises:
        DataError: the file does not contain such numbers. The message names the position: file:line:column in a CSV
            file, where the column counts cells from 1; indices from 0 in an array.
    """
    ending = path.suffix.lower()
    if ending == ".npy":
        with open_data(path) as stream:
            return _read_npy(path, stream, features)
    if ending not in (*SUFFIXES, ".gz") and str(path) != "-":
        raise DataError(f"{path}: has the ending {ending!r}, expected .npy, {', '.join(SUFFIXES)}")
    return _read_table(path, features)


def read_array_file(path: Path, features: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield each sequence of a ``.npz`` file, (time, features), after its name; see `zoo.data.recordings.read_arrays`.

    Raises:
        DataError: the file has no such array ``x``, or a value is not finite.
    """
    recordings = read_npz(path)
    steps = recordings.steps
    names = [name for name in steps.names if name not in recordings.roles]
    if len(names) != features:
        raise DataError(f"{path}: has {len(names)} features per step, expected {features} as the model takes")
    values = np.stack([steps.numbers(name) for name in names], 1)
    narrow = to_float32(values)
    require_finite(narrow, values, lambda index: steps.place(index[0], names[index[1]]))
    for name, (start, stop) in zip(recordings.ids, pairwise(recordings.offsets), strict=True):
        yield f"{path}[{name.removeprefix('[').removesuffix(']')}]", narrow[start:stop]


def _read_npy(path: Path, stream: BinaryIO, features: int) -> NDArray[np.float32]:
    shape, dtype = _npy_header(path, stream)
    require_kind(dtype, str(path))
    if len(shape) not in (2, 3) or shape[-1] != features:
        raise DataError(
            f"{path}: has the shape {shape}, expected (time, {features}) or (sequences, time, {features}), "
            f"because the model takes {features} features per step"
        )
    if min(shape) <= 0:
        raise DataError(f"{path}: has the shape {shape}, expected at least one sequence and one step")
    # Before anything is allocated: a header can state any size.
    expected, actual = math.prod(shape) * dtype.itemsize, os.fstat(stream.fileno()).st_size - stream.tell()
    if expected != actual:
        raise DataError(
            f"{path}: its header states {shape} of {dtype}, {expected:,} bytes, found {actual:,}; write the file again"
        )
    stream.seek(0)
    values = npy.read_array(stream, allow_pickle=False)
    narrow = to_float32(values)
    require_finite(narrow, values, lambda index: f"{path}: at {list(index)}")
    return narrow.reshape((-1, *shape[-2:]))


def _npy_header(path: Path, stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and dtype that the header of a .npy file states, and leave the stream at the data."""
    if stream.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
        raise DataError(f"{path}: is not a .npy file, which begins with '\\x93NUMPY'; write it with numpy.save")
    stream.seek(0)
    # Version 3 differs only in the names of record fields, which an array of plain numbers does not have.
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    try:
        version = npy.read_magic(stream)
        shape, _, dtype = readers[version](stream)
    except Exception as error:  # NumPy evaluates the header as Python, which fails in many ways
        raise DataError(f"{path}: has a .npy header that cannot be understood; write it with numpy.save") from error
    return shape, dtype


def _read_table(path: Path, features: int) -> NDArray[np.float32]:
    table = read_table(path, is_header=_is_header)
    if len(table.names) != features:
        raise DataError(f"{table.source}: columns: {len(table.names)}, expected {features}, one per feature")
    values = np.stack([table.numbers(name) for name in table.names], 1)
    if (missing := np.isnan(values)).any():
        row, column = np.argwhere(missing)[0].tolist()
        place = table.place(row, table.names[column])
        raise DataError(f"{place}: is missing, expected a number; fill it in or remove the row")
    return to_float32(values)[None]


def _is_header(row: list[str]) -> bool:
    return all(name[:1].isalpha() and name not in _NOT_NAMES for name in (cell.strip().lower() for cell in row))
