"""The series of a table: the rows of each group in the order of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.data.preparation.form import TableForm
from zoo.data.preparation.timeline import Dates, MisplacedRowError, parse_step
from zoo.data.tables.table import Table
from zoo.errors import DataError

__all__ = ["OneSeries", "find_series"]


@dataclass(frozen=True)
class OneSeries:
    """Rows of a table that follow each other in time, as steps of which the table may lack some."""

    name: str
    """Name of its group; empty where the table is one series."""
    rows: NDArray[np.int64]
    """(rows,) numbers of the rows in the table, in the order of time."""
    steps: NDArray[np.int64]
    """(rows,) step of each row, from 0; without a regular distance the rows are the steps. The array ``rows`` itself
    where both count from 0, as in most tables of one series."""
    dates: Dates | None
    """(rows,) date of each row; None where they have none."""
    table: Table
    regular: bool = False
    """Whether steps have a regular distance, stated by the form."""

    def __len__(self) -> int:
        return int(self.steps[-1]) + 1

    @property
    def where(self) -> str:
        """The series as messages name it: the file, and the group where there are groups."""
        return f"{self.table.source}, {self.name!r}" if self.name else self.table.source

    def place(self, step: int, column: str | None = None) -> str:
        """Return the place of a step in the file, that of the next row where the file lacks it."""
        return self.table.place(int(self.rows[np.searchsorted(self.steps, step)]), column)

    def has(self, step: int) -> bool:
        """Return whether the file has a row for a step."""
        return bool(self.steps[np.searchsorted(self.steps, step)] == step)

    def along(self) -> NDArray[np.float64]:
        """Return the position of each step in time: its date, or its number where it has none or is regular."""
        if self.dates is None or self.regular:
            return np.arange(len(self), dtype=np.float64)
        along: NDArray[np.float64] = (self.dates - self.dates[0]).astype(np.float64)
        return along

    def dates_of_steps(self) -> Dates | None:
        """Return the date of each step (steps,), NaT where the file lacks a row; None where the rows have no dates."""
        if self.dates is None:
            return None
        dates = np.full(len(self), np.datetime64("NaT", "us"))
        dates[self.steps] = self.dates
        return dates

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a column of the table (rows of the table,) over the steps (steps,), NaN where the file lacks a row.

        It may be a view of the column, which is not to be written to.
        """
        if self.steps is self.rows:
            return values[: len(self)]
        result = np.full(len(self), np.nan)
        result[self.steps] = values[self.rows]
        return result

    def pick(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the cells of a column of the table (rows of the table,) that are in the series; maybe a view."""
        return values[: len(self)] if self.steps is self.rows else values[self.rows]


def find_series(table: Table, form: TableForm) -> list[OneSeries]:
    """Return the series of a table, in the order of their first rows.

    Args:
        table: the rows.
        form: of it ``group``, ``date``, ``dates``, ``sort`` and ``every``.

    Raises:
        DataError: a row has no group; the dates of a series do not increase, or do not fit ``every``.
    """
    if len(table) == 0:
        raise DataError(f"{table.source}: has no rows below the names of its columns, expected at least one")
    groups, dates = _groups(table, form.group), None
    if form.date is not None:
        table.require(form.date, "date")
        dates = _dates(table, form, form.date, groups)
    return [_series(table, form, name, rows, dates) for name, rows in groups]


def _dates(table: Table, form: TableForm, date: str, groups: Sequence[tuple[str, NDArray[np.int64]]]) -> Dates:
    """Return the date of each row of the table."""
    if form.dates.zone is None or len(groups) == 1:
        return table.dates(date, form.dates)
    dates = np.empty(len(table), "datetime64[us]")
    for _, rows in groups:  # the order of the rows of a series shows which of two equal hours a local time is in
        dates[rows] = table.take(rows).dates(date, form.dates)
    return dates


def _groups(table: Table, group: str | None) -> list[tuple[str, NDArray[np.int64]]]:
    """Return the name and the rows of each group."""
    if group is None:
        return [("", np.arange(len(table)))]
    table.require(group, "group")
    numbers: dict[str, int] = {}
    members = np.empty(len(table), np.int64)
    for row, name in enumerate(table.texts(group)):
        if name is None:
            raise DataError(f"{table.place(row, group)}: {group!r} is missing, which names the series; fill it in")
        members[row] = numbers.setdefault(name, len(numbers))
    order = np.argsort(members, kind="stable")
    ends = np.cumsum(np.bincount(members))
    return list(zip(numbers, np.split(order, ends[:-1]), strict=True))


def _series(table: Table, form: TableForm, name: str, rows: NDArray[np.int64], dates: Dates | None) -> OneSeries:
    whole = len(rows) == len(table) and (rows[1:] > rows[:-1]).all()
    steps = rows if whole else np.arange(len(rows))
    if dates is None:
        for field in ("sort", "every"):
            if getattr(form, field):
                raise DataError(
                    f"{table.source}: has no dates such as 2020-12-31, which data.{field} needs; set data.date"
                )
        return OneSeries(name, rows, steps, None, table)
    own = dates if steps is rows else dates[rows]
    if form.sort and (own[1:] < own[:-1]).any():
        order = np.argsort(own, kind="stable")
        rows, own = rows[order], own[order]
    _require_increasing(table, form, name, rows, own)
    series = OneSeries(name, rows, steps, own, table)
    if form.every is None:
        return series
    try:
        slots = parse_step(form.every).slots(own)
    except MisplacedRowError as error:
        date = own[error.row].item()
        raise DataError(f"{series.place(error.row)}: {date} {error}; correct the date or data.every") from error
    if (count := int(slots[-1]) + 1) > 2 * len(rows):
        raise DataError(
            f"{series.where}: by data.every {count - len(rows):,} rows are missing between the {len(rows):,} of the "
            "file; set data.every to the distance of the rows, or leave it out"
        )
    return OneSeries(name, rows, steps if count == len(rows) else slots, own, table, regular=True)


def _require_increasing(table: Table, form: TableForm, name: str, rows: NDArray[np.int64], dates: Dates) -> None:
    late = dates[1:] <= dates[:-1]
    if not late.any():
        return
    row = int(np.argmax(late)) + 1
    date, before = (str(dates[at].item()) for at in (row, row - 1))
    series = f" of {name!r}" if name else ""
    place = table.place(int(rows[row]), form.date)
    if date == before:
        advice = "" if name else ", or name the column that separates several series in data.group"
        raise DataError(f"{place}: the date {date} occurs twice{series}; remove one of the rows{advice}")
    raise DataError(
        f"{place}: the date {date}{series} is not later than the date before it, {before}; sort the rows by date, as "
        "data.sort: true does"
    )
