"""Missing values of a series: single cells, and whole rows where the series has a regular step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.data.preparation.form import Missing
from zoo.data.preparation.series import OneSeries
from zoo.errors import DataError

__all__ = ["fill"]


def fill(
    series: OneSeries,
    column: str,
    values: NDArray[np.float64],
    missing: Missing,
    *,
    start: float | None = None,
    advice: str = "",
) -> NDArray[np.float64]:
    """Return the values of a column with each NaN replaced.

    Args:
        series: the steps.
        column: name of the column, for messages.
        values: (steps,) float64, those of the first steps of the series.
        missing: the rule; ``mask`` repeats the value before.
        start: value of a gap without a value before it; None where that is an error.
        advice: what else to do about a value that is refused, at the end of the message.

    Raises:
        DataError: a value is missing, and must not or cannot be filled.
    """
    absent = np.isnan(values)
    if not absent.any():
        return values
    if missing == "refuse":
        raise _missing_error(series, column, int(np.argmax(absent)), advice)
    present = ~absent
    if start is None:
        _require_ends(series, column, present, missing)
    if missing == "interpolate":
        along = series.along()[: len(values)]
        return np.interp(along, along[present], values[present])
    last = np.maximum.accumulate(np.where(present, np.arange(len(values)), -1))
    filled: NDArray[np.float64] = np.where(last < 0, start or 0.0, values[last])
    return filled


def _missing_error(series: OneSeries, column: str, step: int, advice: str) -> DataError:
    if series.has(step):
        return DataError(f"{series.place(step, column)}: {column!r} is missing; fill it in{advice}")
    following = int(np.searchsorted(series.steps, step))
    count = int(series.steps[following]) - step
    return DataError(f"{series.place(step)}: rows missing before this row by data.every: {count:,}; add them{advice}")


def _require_ends(series: OneSeries, column: str, present: NDArray[np.bool_], missing: Missing) -> None:
    """Raise a `DataError` for values that begin with a gap or, for interpolation, end with one."""
    ends = {"before": 0, "after": len(present) - 1} if missing == "interpolate" else {"before": 0}
    for side, step in ends.items():
        if not present[step]:
            raise DataError(
                f"{series.place(step, column)}: {column!r} is missing, and no number {side} it can fill the gap; "
                "fill it in or remove the row"
            )
