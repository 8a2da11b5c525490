"""Sequences from a user's own file, .npy or .csv, for a model to answer about. Needs no torch."""

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
"""What begins with a letter and yet is a number, or stands for a missing one."""


def read_sequences(path: Path, features: int) -> NDArray[np.float32]:
    """Read what a model is to answer about.

    A ``.npy`` file holds (time, features) or (sequences, time, features) of any dtype of real numbers. A ``.csv`` file,
    UTF-8, holds one sequence: a row a step, a column a feature. Its first line may be a header: it is one where every
    cell begins with a letter and none is a number or a mark for a missing value, so that a faulty first step is not
    lost.

    Args:
        features: how many the model takes.

    Returns:
        (sequences, time, features), contiguous, finite, no dimension 0.

    Raises:
        DataError: with the file and the place: line:column in a CSV file, where the column counts cells; indices from 0
            in an array.
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
            "since the model takes that many features"
        )
    if min(shape) <= 0:
        raise DataError(f"{path}: has the shape {shape}, expected at least one sequence and one step")
    # Before anything is allocated: a header can claim any size.
    promised, found = math.prod(shape) * dtype.itemsize, os.fstat(stream.fileno()).st_size - stream.tell()
    if promised != found:
        raise DataError(
            f"{path}: its header promises {shape} of {dtype}, {promised:,} bytes, found {found:,}; write it again"
        )
    stream.seek(0)
    values = npy.read_array(stream, allow_pickle=False)
    narrow = _narrow(values, lambda index: f"{path}: at {list(index)}")
    return narrow.reshape((-1, *shape[-2:]))


def _npy_header(path: Path, stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype, as the file claims them. Leaves the stream at the data."""
    if stream.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
        raise DataError(f"{path}: is not a .npy file, which begins with '\\x93NUMPY'; write it with numpy.save")
    stream.seek(0)
    # Version 3 differs in the names of fields only, which an array of plain numbers does not have.
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
            raise DataError(f"{path}:{line}: columns: {len(row)}, expected {features}, one a feature, commas between")
        if index > 0 or not _is_header(row):
            values.extend(_number(cell, f"{path}:{line}:{column}") for column, cell in enumerate(row, 1))
            lines.append(line)
    if not lines:
        raise DataError(f"{path}: holds no steps, expected at least one row of {features} numbers")
    table = np.frombuffer(values).reshape(len(lines), features)
    return _narrow(table, lambda index: f"{path}:{lines[index[0]]}:{index[1] + 1}")[None]


def read_columns(path: Path, columns: Sequence[str], steps: int) -> NDArray[np.float32]:
    """Read the newest steps of a time series from a CSV file with a header; other columns may stand beside.

    Args:
        columns: the names of those to take, in this order.
        steps: how many of the last rows; all of them when 0.

    Returns:
        (steps, columns), finite.

    Raises:
        DataError: with the file and the place, where a column or a row is missing or a cell is not a number.
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
                f"{path}:{line}: has no column {missing[0]!r} in its header, expected {', '.join(columns)}, which the "
                "model was trained with"
            )
        places = [names.index(column) for column in columns]
        newest = deque(rows, maxlen=steps or None)
    if not newest:
        raise DataError(f"{path}: holds no row below its header, expected a row for each step")
    if len(newest) < steps:
        raise DataError(f"{path}: holds {len(newest)} rows, expected at least {steps}, as the model was trained with")
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
    """The same values as float32, or an error that names the first one that is not finite there."""
    narrow = to_float32(values)
    require_finite(narrow, values, place)
    return narrow
