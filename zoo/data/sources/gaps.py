"""What to do where a time series lacks numbers: whole rows by its step, or single cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import zoo
from zoo.data.sources.table_file import Column, Table
from zoo.data.sources.timeline import Misplaced, Step

__all__ = ["Missing", "without_gaps"]

Missing = Literal["refuse", "previous", "interpolate"]


def without_gaps(table: Table, columns: Sequence[Column], step: Step | None, missing: Missing) -> NDArray[np.float64]:
    """The columns with a number in each cell and, where there is a step, a row at each step.

    Returns:
        (rows, columns)

    Raises:
        DataError: where something is missing and is not to be filled, or cannot be.
    """
    slots = _slots(table, step)
    rows = int(slots[-1]) + 1
    if rows > 2 * len(table):
        raise zoo.DataError(
            f"{table.source}: by data.every {rows - len(table):,} rows are missing between the {len(table):,} that are "
            "there; say how far apart they are, or leave it out"
        )
    values = np.full((rows, len(columns)), np.nan, order="F")
    for index, column in enumerate(columns):
        values[slots, index] = column.values
    absent = np.isnan(values)
    if missing == "refuse" and absent.any():
        row, index = map(int, np.argwhere(absent)[0])
        raise _refusal(table, slots, row, columns[index])
    along = np.arange(rows, dtype=np.float64)
    if step is None and table.dates is not None:
        along = (table.dates - table.dates[0]).astype(np.float64)
    for index, column in enumerate(columns):
        if absent[:, index].any():
            _refuse_ends(table, column, ~absent[:, index], missing)
            values[:, index] = _filled(values[:, index], along if missing == "interpolate" else None)
    return values


def _slots(table: Table, step: Step | None) -> NDArray[np.int64]:
    """For each row of the table, which row it is once none is missing."""
    if step is None:
        return np.arange(len(table))
    if table.dates is None:
        raise zoo.DataError(f"{table.source}: has no column with dates such as 2020-12-31, which data.every needs")
    try:
        return step.slots(table.dates)
    except Misplaced as error:
        date = table.dates[error.row].item()
        raise zoo.DataError(f"{table.place(error.row)}: {date} {error}; correct it or data.every") from error


def _refusal(table: Table, slots: NDArray[np.int64], row: int, column: Column) -> zoo.DataError:
    hint = "fill it in or set data.missing to 'previous' or 'interpolate'"
    behind = int(np.searchsorted(slots, row))
    if slots[behind] == row:
        return zoo.DataError(f"{table.place(behind)}:{column.number}: {column.name!r} is missing; {hint}")
    count = int(slots[behind]) - row
    return zoo.DataError(f"{table.place(behind)}: rows missing before it by data.every: {count:,}; {hint}")


def _refuse_ends(table: Table, column: Column, present: NDArray[np.bool_], missing: Missing) -> None:
    """Refuse a column that begins, or for interpolation ends, with a gap: its first and last row are in the file."""
    ends = {"before": 0, "behind": len(present) - 1} if missing == "interpolate" else {"before": 0}
    for side, row in ends.items():
        if not present[row]:
            raise zoo.DataError(
                f"{table.place(-1 if row else 0)}:{column.number}: {column.name!r} is missing and nothing stands "
                f"{side} it to fill it from; fill it in or remove the row"
            )


def _filled(values: NDArray[np.float64], along: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """NaN replaced by the number before it, or by a straight line over ``along``."""
    present = ~np.isnan(values)
    if along is not None:
        return np.interp(along, along[present], values[present])
    filled: NDArray[np.float64] = values[np.maximum.accumulate(np.where(present, np.arange(len(values)), 0))]
    return filled
