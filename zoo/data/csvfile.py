"""Readers of text and CSV files whose errors name the line. Needs no torch."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from zoo.errors import DataError

MISSING_MARKS = frozenset(("", "#n/a", "n/a", "na", "nan", "nil", "none", "null"))
"""Cells that stand for a missing number, in lower case and without surrounding white space."""


def text_lines(path: Path, stream: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a UTF-8 file, each with its line end; a byte order mark is skipped.

    Args:
        path: the file, for messages.
        stream: its lines as bytes, such as the stream that `open_data` opens.

    Raises:
        DataError: a line is not UTF-8; the message names its number.
    """
    for number, line in enumerate(stream, 1):
        try:
            yield (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{number}: is not UTF-8 text; give a text file saved as UTF-8") from error


def csv_rows(path: Path, stream: Iterable[bytes], separator: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file as (line number, cells); empty lines are allowed at the end only.

    The number is that of the row's last line, counted from 1.

    Args:
        path: the file, for messages.
        stream: its lines as bytes, such as the stream that `open_data` opens.
        separator: the character between two cells.

    Raises:
        DataError: the file is not CSV in UTF-8, or has an empty line between rows.
    """
    reader = csv.reader(text_lines(path, stream), delimiter=separator, strict=True)
    empty = None
    try:
        for row in reader:
            if not row:
                empty = empty or reader.line_num
            elif empty:
                raise DataError(f"{path}:{empty}: is an empty line between rows; fill it or remove it")
            else:
                yield reader.line_num, row
    except csv.Error as error:
        fault = str(error).partition(" - ")[0]  # the rest is advice to callers of the csv module
        raise DataError(f"{path}:{reader.line_num}: is not CSV: {fault}; correct the line") from error


def cell_number(cell: str) -> float | None:
    """Return the number in a cell, which may be NaN or infinite; None where the cell is not a number.

    Args:
        cell: the text between two separators.
    """
    try:
        return None if "_" in cell else float(cell)  # Python reads 1_000 as a number, spreadsheets do not
    except ValueError:
        return None


def not_a_number(place: str, cell: str) -> DataError:
    """Return the error for a cell that is not a number.

    Args:
        place: where the cell is, ``file:line:column``.
        cell: its text.
    """
    return DataError(f"{place}: {show_cell(cell)} is not a number; give one with a decimal point, such as 0.5")


def show_cell(cell: str) -> str:
    """Return a cell as messages quote it: on one line, cut to 30 characters.

    Args:
        cell: its text.
    """
    return repr(cell if len(cell) <= 30 else cell[:30] + "…")
