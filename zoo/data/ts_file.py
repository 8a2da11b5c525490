"""Reader of ``.ts`` files, the form of the UEA and UCR archives of time series. Needs NumPy only.

A header of lines that begin with ``@`` ends with ``@data``; then each line is a recording: its dimensions separated by
colons, the values of a dimension by commas, and at the end its class or its target.
Files: https://timeseriesclassification.com.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from zoo.data.csvfile import cell_number, show_cell, text_lines
from zoo.data.datafile import open_data
from zoo.errors import DataError

_TAGS = (
    "problemname", "timestamps", "missing", "univariate", "dimension", "dimensions", "equallength", "serieslength",
    "classlabel", "targetlabel",
)  # fmt: skip


@dataclass(frozen=True)
class TsFile:
    """Content of a ``.ts`` file."""

    values: tuple[NDArray[np.float64], ...]
    """(time, dimensions) of each recording; NaN where a value is missing."""
    answers: tuple[str, ...]
    """Class or target of each recording, as written; empty where the file has neither."""
    classes: tuple[str, ...]
    """The classes that the header lists; empty where the recordings have none."""
    numbers: bool
    """Whether the answers are numbers (``@targetLabel true``)."""
    lines: tuple[int, ...]
    """Line number of each recording."""


@dataclass
class _Header:
    dimensions: int | None = None
    classes: tuple[str, ...] = ()
    numbers: bool = False

    @property
    def answered(self) -> bool:
        return bool(self.classes) or self.numbers


def read_ts(path: Path) -> TsFile:
    """Read a file; ``?`` and ``NaN`` are missing values.

    Args:
        path: the file, UTF-8.

    Raises:
        DataError: the file is not of this form, or has time stamps beside the values; the message names the line.
    """
    with open_data(path) as stream:
        lines = _content(path, stream)
        header = _read_header(path, lines)
        rows = [(number, *_recording(f"{path}:{number}", text, header)) for number, text in lines]
    if not rows:
        raise DataError(f"{path}: contains no recording below @data, expected one on each line")
    numbers, values, answers = zip(*rows, strict=True)
    return TsFile(values, answers if header.answered else (), header.classes, header.numbers, numbers)


def _content(path: Path, stream: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield the lines that are neither empty nor comments, with their numbers."""
    for number, line in enumerate(text_lines(path, stream), 1):
        if (text := line.strip()) and not text.startswith("#"):
            yield number, text


def _read_header(path: Path, lines: Iterator[tuple[int, str]]) -> _Header:
    """Read the lines up to ``@data``."""
    header = _Header()
    for number, text in lines:
        place = f"{path}:{number}"
        if not text.startswith("@"):
            raise DataError(
                f"{place}: {show_cell(text)} stands before @data, expected a line such as '@univariate true'"
            )
        tag, *values = text[1:].split()
        name = tag.lower()
        if name == "data":
            return header
        if name not in _TAGS:
            raise DataError(f"{place}: has the unknown tag {show_cell('@' + tag)}; expected @data or one of its header")
        _read_tag(place, name, values, header)
    raise DataError(f"{path}: has no line @data, expected one between the header and the recordings; is it a .ts file?")


def _read_tag(place: str, name: str, values: list[str], header: _Header) -> None:
    on = bool(values) and values[0].lower() == "true"
    if name == "timestamps" and on:
        raise DataError(f"{place}: has time stamps beside the values; write the values alone, at equal distances")
    if name == "univariate" and on:
        header.dimensions = 1
    if name in ("dimension", "dimensions"):
        if not values or not values[0].isdecimal() or not int(values[0]):
            raise DataError(f"{place}: has no number of dimensions, expected one such as '@dimensions 6'")
        header.dimensions = int(values[0])
    if name == "classlabel" and on:
        header.classes = tuple(values[1:])
        if not header.classes:
            raise DataError(f"{place}: lists no class, expected '@classLabel true' with the names of the classes")
    header.numbers = header.numbers or (name == "targetlabel" and on)


def _recording(place: str, text: str, header: _Header) -> tuple[NDArray[np.float64], str]:
    """Return the values (time, dimensions) and the answer of a line."""
    parts = text.split(":")
    answer = parts.pop().strip() if header.answered else ""
    if header.classes and answer not in header.classes:
        raise DataError(
            f"{place}: ends with {show_cell(answer)}, expected a class of @classLabel: {_some(header.classes)}"
        )
    if header.dimensions is None:
        header.dimensions = len(parts)
    if len(parts) != header.dimensions:
        raise DataError(f"{place}: has {len(parts)} dimensions, expected {header.dimensions}; separate them by colons")
    dimensions = [_values(f"{place}: dimension {number}", part) for number, part in enumerate(parts, 1)]
    lengths = sorted({len(values) for values in dimensions})
    if len(lengths) > 1:
        raise DataError(
            f"{place}: has dimensions of {lengths[0]:,} to {lengths[-1]:,} values, expected as many in each; pad the "
            "shorter ones with '?'"
        )
    return np.stack(dimensions, 1), answer


def _values(place: str, part: str) -> NDArray[np.float64]:
    if "_" not in part:  # which NumPy reads within a number
        with suppress(ValueError):
            return np.array(part.split(","), np.float64)
    numbers = [np.nan if cell.strip() == "?" else cell_number(cell) for cell in part.split(",")]
    if None in numbers:
        index = numbers.index(None)
        cell = part.split(",")[index]
        raise DataError(f"{place}, value {index + 1}: {show_cell(cell)} is not a number; give one, or '?'")
    return np.array(numbers, np.float64)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
