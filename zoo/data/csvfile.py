"""Reading text and CSV files so that each fault has its line. Needs no torch."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from zoo.errors import DataError

MISSING_MARKS = frozenset(("", "#n/a", "n/a", "na", "nan", "nil", "none", "null"))
"""Cells, in lower case and without white space around, that stand for a missing number."""


def text_lines(path: Path, stream: Iterable[bytes]) -> Iterator[str]:
    """The lines of a UTF-8 file, ends included, decoded one by one so that a fault has its line.

    Raises:
        DataError: where it is not UTF-8.
    """
    for number, line in enumerate(stream, 1):
        try:
            yield (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{number}: is not UTF-8 text; give a text file, saved as UTF-8") from error


def csv_rows(path: Path, stream: Iterable[bytes]) -> Iterator[tuple[int, list[str]]]:
    """Every row with the number of its last line. Empty lines may stand at the end only.

    Raises:
        DataError: where it is not CSV in UTF-8, or has an empty line between rows.
    """
    reader = csv.reader(text_lines(path, stream), strict=True)
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
        fault = str(error).partition(" - ")[0]  # behind the dash stands advice to the caller of the csv module
        raise DataError(f"{path}:{reader.line_num}: is not CSV: {fault}") from error


def cell_number(cell: str) -> float | None:
    """The number that a cell holds, which need not be finite; None where it holds something else."""
    try:
        return None if "_" in cell else float(cell)  # Python reads 1_000 as a number, a table does not
    except ValueError:
        return None


def not_a_number(place: str, cell: str) -> DataError:
    """What to say of a cell that holds something else than a number."""
    return DataError(f"{place}: {show_cell(cell)} is not a number; expected one with a decimal point, such as 0.5")


def show_cell(cell: str) -> str:
    """A cell as a message shows it, short and on one line."""
    return repr(cell if len(cell) <= 30 else cell[:30] + "…")
