"""Tables of time series: columns of numbers and the dates of the rows, with the file position of each cell."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import zoo
from zoo.data.sources.timeline import Dates

__all__ = ["Column", "Table", "make_table", "no_column", "prices", "read_header", "read_table"]

_DATE_NAMES = ("date", "time", "timestamp", "datetime")
_LARGEST = float(np.finfo(np.float32).max)
_LISTED = 12
"""Largest number of column names that a message lists."""


@dataclass
class Column:
    """A column of numbers; a cell that is not a number is kept as a fault, for the case that the column is used."""

    name: str
    number: int
    """Position in the file, counted from 1."""
    values: array[float] = field(default_factory=lambda: array("d"))
    """NaN where a cell is missing."""
    present: bool = False
    """Whether at least one cell is a number."""
    fault: zoo.DataError | None = None
    """Error for the first cell that is neither a number in the range of float32 nor missing; None where all are."""

    def add(self, place: str, cell: str) -> None:
        """Append the next cell; ``place`` is ``file:line``."""
        value = zoo.cell_number(cell)
        if value is not None and abs(value) <= _LARGEST:
            self.present = True
            self.values.append(value)
            return
        self.values.append(np.nan)
        if self.fault or cell.strip().lower() in zoo.MISSING_MARKS:
            return
        place = f"{place}:{self.number}"
        if value is None:
            self.fault = zoo.not_a_number(place, cell)
        else:
            self.present = True
            self.fault = zoo.DataError(f"{place}: {zoo.show_cell(cell)} is more than float32 can hold; replace it")


@dataclass(frozen=True)
class Table:
    """Named columns of numbers, rows in the order of time."""

    source: str
    """The file as messages name it."""
    names: Sequence[str]
    """Names of all columns of the file."""
    columns: Sequence[Column]
    """The columns that have a name, without the column of dates."""
    dates: Dates | None
    """The dates of the rows; None where no column has dates."""
    date: str | None
    """Name of the column of dates."""
    lines: Sequence[int]
    """Line number of each row."""

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, row: int) -> str:
        """Return ``file:line`` of a row, counted from 0."""
        return f"{self.source}:{self.lines[row]}"

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the columns in which at least one cell is a number."""
        return tuple(column.name for column in self.columns if column.present)

    def chosen(self, names: Sequence[str], field_name: str) -> list[Column]:
        """Return the named columns, in the order of ``names``.

        Args:
            names: names of columns of numbers.
            field_name: the field of the spec that contains the names, for messages: ``inputs`` or ``targets``.

        Raises:
            DataError: a column does not exist, is named twice, or contains a cell that is not a number.
        """
        by_name = {column.name: column for column in self.columns}
        before: set[str] = set()
        for name in names:
            if name in before:
                raise zoo.DataError(f"data.{field_name}: names the column {name!r} twice; remove one of them")
            before.add(name)
            if name == self.date:
                raise zoo.DataError(f"data.{field_name}: {name!r} is the column of dates; name columns of numbers")
            if name not in by_name:
                raise no_column(self.source, name, field_name, self.names)
            if fault := by_name[name].fault:
                raise fault
        return [by_name[name] for name in names]


def read_table(path: Path, date: str | None) -> Table:
    """Read a CSV file whose first line names the columns.

    Args:
        path: the file.
        date: name of the column of dates; None to recognise one by its name and its first cell.

    Raises:
        DataError: the file is not such a table; the message names the position as file:line:column.
    """
    with zoo.open_data(path) as stream:
        return make_table(str(path), zoo.csv_rows(path, stream), date)


def prices(date: str | None) -> Table:
    """Return the daily prices of Google's shares from matplotlib's sample data: 1,047 rows, 2004 to 2008."""
    from matplotlib.cbook import get_sample_data  # slow to import, and needed only for these data

    values: NDArray[np.void] = get_sample_data("goog.npz")["price_data"]  # type: ignore[index]
    rows = [list(values.dtype.names or ()), *([str(cell) for cell in row] for row in values.tolist())]
    return make_table("the embedded prices", enumerate(rows, 1), date)


def make_table(source: str, rows: Iterable[tuple[int, list[str]]], date: str | None) -> Table:
    """Return the table of some rows.

    Args:
        source: the file as messages name it.
        rows: (line number, cells) of each row; the first contains the names of the columns.
        date: as for `read_table`.

    Raises:
        DataError: the rows are not such a table; the message names the position as source:line:column.
    """
    rows = iter(rows)
    names = read_header(source, next(rows, None))
    first = next(rows, None)
    if first is None:
        raise zoo.DataError(f"{source}: has no rows below the names of its columns, expected at least one")
    if date is None:
        first_cells = zip(names, first[1], strict=False)
        date = next((name for name, cell in first_cells if name.lower() in _DATE_NAMES and _iso(cell)), None)
    elif date not in names:
        raise no_column(source, date, "date", names)
    at = None if date is None else names.index(date)
    columns = [Column(name, number) for number, name in enumerate(names, 1)]
    lines: list[int] = []
    moments: list[datetime] = []
    for line, row in chain([first], rows):
        place = f"{source}:{line}"
        if len(row) != len(names):
            raise zoo.DataError(f"{place}: columns: {len(row)}, expected {len(names)} as in the first line")
        lines.append(line)
        for column, cell in zip(columns, row, strict=True):
            if column.number - 1 != at:
                column.add(place, cell)
            else:
                moments.append(_moment(f"{place}:{column.number}", cell))
    return Table(
        source,
        names,
        [column for column in columns if column.name and column.number - 1 != at],
        None if at is None else _dates(source, moments, lines),
        date,
        lines,
    )


def read_header(source: str, first: tuple[int, list[str]] | None) -> list[str]:
    """Return the names of the columns.

    Args:
        source: the file as messages name it.
        first: (line number, cells) of the first row; None for an empty file.

    Raises:
        DataError: the file is empty, or the row contains no names or the same name twice.
    """
    if first is None:
        raise zoo.DataError(f"{source}: is empty, expected a line with the names of the columns and rows below it")
    line, cells = first
    names = [cell.strip() for cell in cells]
    if all(name.lower() in zoo.MISSING_MARKS or zoo.cell_number(name) is not None or _iso(name) for name in names):
        raise zoo.DataError(f"{source}:{line}: contains no names of columns; add them as the first line")
    before: set[str] = set()
    for index, name in enumerate(names):
        if name and name in before:  # several columns may be without a name: a spec cannot refer to them
            raise zoo.DataError(f"{source}:{line}:{index + 1}: names a second column {name!r}; rename one of them")
        before.add(name)
    return names


def no_column(source: str, name: str, field_name: str, names: Sequence[str]) -> zoo.DataError:
    """Return the error for a column that the field ``data.<field_name>`` names and the file lacks."""
    close = get_close_matches(name, names, 1, 0.6)
    guess = f" (did you mean {close[0]!r}?)" if close else ""
    listed = ", ".join(map(repr, filter(None, names[:_LISTED])))
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return zoo.DataError(
        f"{source}: has no column {name!r}{guess}, which data.{field_name} names; columns: {listed}{more}"
    )


def _iso(cell: str) -> datetime | None:
    """Return the date in a cell, with or without a time, in UTC where it has a time zone; None for any other cell."""
    cell = cell.strip()
    try:
        # Python also reads 20200131 as a date; here it is a number.
        moment = datetime.fromisoformat(cell) if cell[4:5] == "-" else None
        return moment.astimezone(UTC) if moment and moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None


def _moment(place: str, cell: str) -> datetime:
    moment = _iso(cell)
    if moment is None:
        raise zoo.DataError(
            f"{place}: {zoo.show_cell(cell)} is not a date; give one such as 2020-12-31 or 2020-12-31 13:00:00"
        )
    return moment


def _dates(source: str, moments: Sequence[datetime], lines: Sequence[int]) -> Dates:
    """Return the moments as an array, or raise a `DataError` where they do not increase."""
    for row, moment in enumerate(moments):
        if (moment.tzinfo is None) != (moments[0].tzinfo is None):
            raise zoo.DataError(f"{source}:{lines[row]}: dates with and without a time zone are mixed; use one form")
        if row and moment <= moments[row - 1]:
            raise zoo.DataError(
                f"{source}:{lines[row]}: the date {moment.replace(tzinfo=None)} is not later than the date before it, "
                f"{moments[row - 1].replace(tzinfo=None)}; sort the rows by date and remove repeated dates"
            )
    dates: Dates = np.array([moment.replace(tzinfo=None) for moment in moments], "datetime64[us]")
    return dates
