"""The table of a time series: columns of numbers, and the dates of its rows, with the place of everything."""

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
"""Names that a message lists at most."""


@dataclass
class Column:
    """A column of numbers, as far as it is one."""

    name: str
    number: int
    """Counted from 1."""
    values: array[float] = field(default_factory=lambda: array("d"))
    """NaN where a cell is missing."""
    present: bool = False
    """Whether any cell is a number."""
    fault: zoo.DataError | None = None
    """What is to be said of the first cell that is neither a number nor missing."""

    def add(self, place: str, cell: str) -> None:
        """Take the next cell; ``place`` is the file and line."""
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
    """Rows in the order of time."""

    source: str
    """The file, or what stands for it in messages."""
    names: Sequence[str]
    """Of all columns."""
    columns: Sequence[Column]
    """All that have a name, but for the dates."""
    dates: Dates | None
    date: str | None
    """The name of the column with the dates."""
    lines: Sequence[int]
    """Where each row stands in the file."""

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, row: int) -> str:
        """File and line of a row."""
        return f"{self.source}:{self.lines[row]}"

    @property
    def numeric(self) -> tuple[str, ...]:
        """The columns that are not text through and through."""
        return tuple(column.name for column in self.columns if column.present)

    def chosen(self, names: Sequence[str], asked_by: str) -> list[Column]:
        """These columns.

        Args:
            asked_by: the field that names them, for messages.

        Raises:
            DataError: where there is no such column, it stands twice in ``names``, or holds what is not a number.
        """
        by_name = {column.name: column for column in self.columns}
        before: set[str] = set()
        for name in names:
            if name in before:
                raise zoo.DataError(f"data.{asked_by}: names the column {name!r} twice; once is enough")
            before.add(name)
            if name == self.date:
                raise zoo.DataError(f"data.{asked_by}: {name!r} is the column with the dates; name columns of numbers")
            if name not in by_name:
                raise no_column(self.source, name, asked_by, self.names)
            if fault := by_name[name].fault:
                raise fault
        return [by_name[name] for name in names]


def read_table(path: Path, date: str | None) -> Table:
    """Read a CSV file whose first line names the columns.

    Args:
        date: the column with the dates; None to recognise one by its name and its first cell.

    Raises:
        DataError: with file, line and column.
    """
    with zoo.open_data(path) as stream:
        return make_table(str(path), zoo.csv_rows(path, stream), date)


def prices(date: str | None) -> Table:
    """The daily prices of Google's shares from their first day, 1,047 rows, from matplotlib's sample data."""
    from matplotlib.cbook import get_sample_data  # slow to import, and needed by those alone who ask for these data

    values: NDArray[np.void] = get_sample_data("goog.npz")["price_data"]  # type: ignore[index]
    rows = [list(values.dtype.names or ()), *([str(cell) for cell in row] for row in values.tolist())]
    return make_table("the embedded prices", enumerate(rows, 1), date)


def make_table(source: str, rows: Iterable[tuple[int, list[str]]], date: str | None) -> Table:
    """A table from its rows, each with its line, the names first.

    Raises:
        DataError: with ``source``, line and column.
    """
    rows = iter(rows)
    names = read_header(source, next(rows, None))
    first = next(rows, None)
    if first is None:
        raise zoo.DataError(f"{source}: holds no rows below the names of its columns")
    if date is not None and date not in names:
        raise no_column(source, date, "date", names)
    known = (index for index, cell in enumerate(first[1]) if _is_dates(names[index : index + 1], cell))
    at = names.index(date) if date is not None else next(known, None)
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
        None if at is None else names[at],
        lines,
    )


def read_header(source: str, first: tuple[int, list[str]] | None) -> list[str]:
    """The names of the columns, from the first row with its line; None where there is none.

    Raises:
        DataError: where there are no names, or the same one twice.
    """
    if first is None:
        raise zoo.DataError(f"{source}: is empty, expected a line with the names of the columns and rows below it")
    line, cells = first
    names = [cell.strip() for cell in cells]
    if all(name.lower() in zoo.MISSING_MARKS or zoo.cell_number(name) is not None or _iso(name) for name in names):
        raise zoo.DataError(f"{source}:{line}: has no names; the first line must name the columns, then come the rows")
    before: set[str] = set()
    for index, name in enumerate(names):
        if name and name in before:  # columns without a name cannot be asked for, and may be many
            raise zoo.DataError(f"{source}:{line}:{index + 1}: names a second column {name!r}; rename one")
        before.add(name)
    return names


def no_column(source: str, name: str, asked_by: str, names: Sequence[str]) -> zoo.DataError:
    """What to say of a column that the field ``asked_by`` names and that is not there."""
    close = get_close_matches(name, names, 1, 0.6)
    guess = f" (did you mean {close[0]!r}?)" if close else ""
    listed = ", ".join(map(repr, filter(None, names[:_LISTED])))
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return zoo.DataError(
        f"{source}: has no column {name!r}{guess}, which data.{asked_by} names; columns: {listed}{more}"
    )


def _is_dates(name: Sequence[str], cell: str) -> bool:
    """Whether a column of this name, if it has one, that begins with this cell is the one with the dates."""
    return bool(name) and name[0].lower() in _DATE_NAMES and _iso(cell) is not None


def _iso(cell: str) -> datetime | None:
    """A date, with a time or without, in UTC where it names a zone; None where the cell holds something else."""
    cell = cell.strip()
    try:
        # Python also takes 20200131, which elsewhere is a number.
        moment = datetime.fromisoformat(cell) if cell[4:5] == "-" else None
        return moment.astimezone(UTC) if moment and moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None


def _moment(place: str, cell: str) -> datetime:
    moment = _iso(cell)
    if moment is None:
        raise zoo.DataError(
            f"{place}: {zoo.show_cell(cell)} is not a date; expected one such as 2020-12-31 or 2020-12-31 13:00:00"
        )
    return moment


def _dates(source: str, moments: Sequence[datetime], lines: Sequence[int]) -> Dates:
    """The moments as an array, once they are found to follow each other."""
    for row, moment in enumerate(moments):
        if (moment.tzinfo is None) != (moments[0].tzinfo is None):
            raise zoo.DataError(f"{source}:{lines[row]}: of this date and the first one, one alone has a time zone")
        if row and moment <= moments[row - 1]:
            raise zoo.DataError(
                f"{source}:{lines[row]}: the date {moment.replace(tzinfo=None)} does not come after the one before it, "
                f"{moments[row - 1].replace(tzinfo=None)}; sort the rows by date, each date once"
            )
    found: NDArray[np.datetime64] = np.array([moment.replace(tzinfo=None) for moment in moments], "datetime64[us]")
    return found
