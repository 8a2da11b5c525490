"""Missing numbers of a time series: single cells, and whole rows where the series has a regular step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import zoo
from zoo.data.sources.table_file import Column, Series
from zoo.data.sources.timeline import MisplacedRowError, Step

__all__ = ["Missing", "without_gaps"]

Missing = Literal["refuse", "previous", "interpolate"]


def without_gaps(table: Series, columns: Sequence[Column], step: Step | None, missing: Missing) -> NDArray[np.float64]:
    """Return the columns with a number in each cell and, where a step is given, a row at each step.

    Args:
        table: the rows of the file.
        columns: the columns to return, in this order.
        step: regular distance of the rows in time; None where they follow each other as in the file.
        missing: refuse: raise an error; previous: repeat the number before; interpolate: draw a straight line between
            the numbers before and after, over the dates where there are any.

    Returns:
        (rows, columns) float64, finite.

    Raises:
        DataError: a cell or a row is missing and must not or cannot be filled.
    """
    slots = _slots(table, step)
    rows = int(slots[-1]) + 1
    if rows > 2 * len(table):
        raise zoo.DataError(
            f"{table.source}: by data.every {rows - len(table):,} rows are missing between the {len(table):,} of the "
            "file; set data.every to the distance of the rows, or leave it out"
        )
    values = np.full((rows, len(columns)), np.nan, order="F")
    for index, column in enumerate(columns):
        values[slots, index] = column.values
    absent = np.isnan(values)
    if missing == "refuse" and absent.any():
        row, index = map(int, np.argwhere(absent)[0])
        raise _missing_error(table, slots, row, columns[index])
    along = np.arange(rows, dtype=np.float64)
    if step is None and table.dates is not None:
        along = (table.dates - table.dates[0]).astype(np.float64)
    for index, column in enumerate(columns):
        if absent[:, index].any():
            _refuse_ends(table, column, ~absent[:, index], missing)
            values[:, index] = _filled(values[:, index], along if missing == "interpolate" else None)
    return values


def _slots(table: Series, step: Step | None) -> NDArray[np.int64]:
    """Return for each row of the table its index in the filled series, int64 (rows,)."""
    if step is None:
        return np.arange(len(table))
    if table.dates is None:
        raise zoo.DataError(f"{table.source}: has no dates such as 2020-12-31, which data.every needs; set data.date")
    try:
        return step.slots(table.dates)
    except MisplacedRowError as error:
        date = table.dates[error.row].item()
        raise zoo.DataError(f"{table.place(error.row)}: {date} {error}; correct the date or data.every") from error


def _missing_error(table: Series, slots: NDArray[np.int64], row: int, column: Column) -> zoo.DataError:
    """Return the error for a cell of the filled series that has no number; ``row`` counts from 0 in that series."""
    hint = "or set data.missing to 'previous' or 'interpolate'"
    following = int(np.searchsorted(slots, row))
    place = table.place(following)
    if slots[following] == row:
        return zoo.DataError(f"{place}:{column.number}: {column.name!r} is missing; fill it in {hint}")
    count = int(slots[following]) - row
    return zoo.DataError(f"{place}: rows missing before this row by data.every: {count:,}; add them {hint}")


def _refuse_ends(table: Series, column: Column, present: NDArray[np.bool_], missing: Missing) -> None:
    """Raise a `DataError` for a column that begins with a gap or, for interpolation, ends with one."""
    ends = {"before": 0, "after": len(present) - 1} if missing == "interpolate" else {"before": 0}
    for side, row in ends.items():
        if not present[row]:
            place = table.place(-1 if row else 0)  # the first and last row of the series are those of the file
            raise zoo.DataError(
                f"{place}:{column.number}: {column.name!r} is missing, and no number {side} it can fill the gap; "
                "fill it in or remove the row"
            )


def _filled(values: NDArray[np.float64], along: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return the values with each NaN replaced by the number before it, or by linear interpolation over ``along``."""
    present = ~np.isnan(values)
    if along is not None:
        return np.interp(along, along[present], values[present])
    filled: NDArray[np.float64] = values[np.maximum.accumulate(np.where(present, np.arange(len(values)), 0))]
    return filled
