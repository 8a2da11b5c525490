"""Tables of time series: columns of numbers and the dates of the rows, with the file position of each cell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import zoo
from zoo.data.sources.timeline import Dates

__all__ = ["Column", "Series", "prices", "read_series"]


@dataclass(frozen=True)
class Column:
    """A column of numbers."""

    name: str
    number: int
    """Position in the file, counted from 1."""
    values: NDArray[np.float64]
    """NaN where a cell is missing."""


@dataclass(frozen=True)
class Series:
    """A table whose rows are in the order of time."""

    table: zoo.Table
    date: str | None
    """Name of the column of dates."""
    dates: Dates | None
    """The dates of the rows; None where no column has dates."""

    def __len__(self) -> int:
        return len(self.table)

    @property
    def source(self) -> str:
        """The file as messages name it."""
        return self.table.source

    def place(self, row: int) -> str:
        """Return ``file:line`` of a row, counted from 0."""
        return self.table.place(row)

    @property
    def numeric(self) -> tuple[str, ...]:
        """Names of the columns of numbers."""
        names = (name for name in self.table.names if name and name != self.date)
        return tuple(name for name in names if self.table.kind(name) == "number")

    def chosen(self, names: Sequence[str], field_name: str) -> list[Column]:
        """Return the named columns, in the order of ``names``.

        Args:
            names: names of columns of numbers.
            field_name: the field of the spec that contains the names, for messages: ``inputs`` or ``targets``.

        Raises:
            DataError: a column does not exist, is named twice, or contains a cell that is not a number.
        """
        before: set[str] = set()
        for name in names:
            if name in before:
                raise zoo.DataError(f"data.{field_name}: names the column {name!r} twice; remove one of them")
            before.add(name)
            if name == self.date:
                raise zoo.DataError(f"data.{field_name}: {name!r} is the column of dates; name columns of numbers")
            self.table.require(name, field_name)
        return [Column(name, self.table.names.index(name) + 1, self.table.numbers(name)) for name in names]


def read_series(path: Path, date: str | None, features: Collection[str] = ()) -> Series:
    """Read a table whose rows are in the order of time.

    Args:
        path: the file, in any format of `zoo.read_table`.
        date: name of the column of dates; None to recognise one by its name.
        features: names of columns that need not be dates.

    Raises:
        DataError: the file is not such a table; the message names the position as file:line:column.
    """
    return _series(zoo.read_table(path), date, features)


def prices(date: str | None) -> Series:
    """Return the daily prices of Google's shares from matplotlib's sample data: 1,047 rows, 2004 to 2008."""
    from matplotlib.cbook import get_sample_data  # slow to import, and needed only for these data

    values: NDArray[np.void] = get_sample_data("goog.npz")["price_data"]  # type: ignore[index]
    columns = {name: np.asarray(values[name]) for name in values.dtype.names or ()}
    return _series(zoo.Table.of_columns("the embedded prices", columns), date, ())


def _series(table: zoo.Table, date: str | None, features: Collection[str]) -> Series:
    if date is None:
        date = zoo.date_column(table, features=features)
    else:
        table.require(date, "date")
    if date is None:
        return Series(table, None, None)
    dates = table.dates(date)
    early = np.flatnonzero(np.diff(dates) <= np.timedelta64(0))
    if len(early):
        row = int(early[0]) + 1
        raise zoo.DataError(
            f"{table.place(row)}: the date {dates[row].item()} is not later than the date before it, "
            f"{dates[row - 1].item()}; sort the rows by date and remove repeated dates"
        )
    return Series(table, date, dates)
