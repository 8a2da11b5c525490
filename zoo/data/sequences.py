"""Readers of the input of ``zoo predict``: sequences of numbers from a .npy or .csv file. Needs no torch."""

from __future__ import annotations

import math
import os
from array import array
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from zoo.data.arrays import Place, require_finite, require_kind, to_float32
from zoo.data.csvfile import MISSING_MARKS, cell_number, csv_rows, not_a_number
from zoo.data.datafile import open_data
from zoo.errors import DataError

_NOT_NAMES = {"inf", "infinity"} | MISSING_MARKS
"""Cells that begin with a letter and are no names of columns: numbers and marks for missing numbers, in lower case."""


def read_sequences(path: Path, features: int) -> NDArray[np.float32]:
    """Read the sequences of a ``.npy`` or ``.csv`` file.

    A ``.npy`` file contains (time, features) or (sequences, time, features), any real dtype. A ``.csv`` file, UTF-8,
    contains one sequence: a row for each step, a column for each feature. Its first line is a header if every cell
    begins with a letter and none is a number or a mark for a missing one, so that a faulty first step is not mistaken
    for a header.

    Args:
        path: the file.
        features: number of features that the model takes.

    Returns:
        (sequences, time, features), contiguous, finite, no axis of size 0.

    Raises:
        DataError: the file does not contain such numbers. The message names the position: file:line:column in a CSV
            file, where the column counts cells from 1; indices from 0 in an array.
    """
    readers = {".npy": _read_npy, ".csv": _read_csv}
    if (ending := path.suffix.lower()) not in readers:
        raise DataError(f"{path}: has the ending {ending!r}, expected {' or '.join(readers)}")
    with open_data(path) as stream:
        return readers[ending](path, stream, features)


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
    narrow = _narrow(values, lambda index: f"{path}: at {list(index)}")
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


def _read_csv(path: Path, stream: BinaryIO, features: int) -> NDArray[np.float32]:
    values = array("d")
    lines: list[int] = []
    for index, (line, row) in enumerate(csv_rows(path, stream)):
        if len(row) != features:
            raise DataError(
                f"{path}:{line}: columns: {len(row)}, expected {features}, one per feature, comma-separated"
            )
        if index > 0 or not _is_header(row):
            values.extend(_number(cell, f"{path}:{line}:{column}") for column, cell in enumerate(row, 1))
            lines.append(line)
    if not lines:
        raise DataError(f"{path}: contains no steps, expected at least one row of {features} numbers")
    table = np.frombuffer(values).reshape(len(lines), features)
    return _narrow(table, lambda index: f"{path}:{lines[index[0]]}:{index[1] + 1}")[None]


def read_columns(path: Path, columns: Sequence[str], steps: int) -> NDArray[np.float32]:
    """Read the last steps of a time series from a CSV file with a header; other columns are ignored.

    Args:
        path: the file.
        columns: names of the columns to read, in the order of the result.
        steps: number of rows to read, from the end of the file; 0 for all.

    Returns:
        (steps, columns), finite.

    Raises:
        DataError: a column is missing, there are too few rows, or a cell is not a finite number; the message names the
            position as file:line:column.
    """
    if path.suffix.lower() != ".csv":
        raise DataError(f"{path}: has the ending {path.suffix!r}, expected .csv")
    with open_data(path) as stream:
        rows = csv_rows(path, stream)
        line, header = next(rows, (1, []))
        names = [name.strip() for name in header]
        if missing := [column for column in columns if column not in names]:
            if header and not any(cell_number(cell) is None for cell in header):
                raise DataError(
                    f"{path}:{line}: is a row of numbers, expected a header that names the columns {', '.join(columns)}"
                )
            raise DataError(
                f"{path}:{line}: has no column {missing[0]!r} in its header, expected {', '.join(columns)}, the "
                "columns that the model was trained with"
            )
        places = [names.index(column) for column in columns]
        newest = deque(rows, maxlen=steps or None)
    if not newest:
        raise DataError(f"{path}: contains no rows below its header, expected one row per step")
    if len(newest) < steps:
        raise DataError(f"{path}: contains {len(newest)} rows, expected at least {steps}, the window of the model")
    values = []
    for line, row in newest:
        if len(row) != len(header):
            raise DataError(f"{path}:{line}: columns: {len(row)}, expected {len(header)} as in the header")
        values.append([_number(row[place], f"{path}:{line}:{place + 1}") for place in places])
    lines = [line for line, _ in newest]
    return _narrow(np.array(values), lambda index: f"{path}:{lines[index[0]]}:{places[index[1]] + 1}")


def _is_header(row: list[str]) -> bool:
    return all(name[:1].isalpha() and name not in _NOT_NAMES for name in (cell.strip().lower() for cell in row))


def _number(cell: str, place: str) -> float:
    value = cell_number(cell)
    if value is None:
        raise not_a_number(place, cell)
    return value


def _narrow(values: NDArray[Any], place: Place) -> NDArray[np.float32]:
    """Return the values as float32, or raise a `DataError` that names the first that is not finite as float32."""
    narrow = to_float32(values)
    require_finite(narrow, values, place)
    return narrow
