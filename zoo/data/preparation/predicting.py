"""The sequences of a user's table for a model: the last window of each series, prepared as in training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.data.preparation.columns import Columns
from zoo.data.preparation.features import features, past_steps
from zoo.data.preparation.form import TableForm
from zoo.data.preparation.series import OneSeries, find_series
from zoo.data.tables.table import Table
from zoo.errors import DataError

__all__ = ["Window", "last_windows"]

AS_TRAINED = ", since the model was trained without gaps"


class Window(NamedTuple):
    """The sequence of a series from which its future is predicted."""

    source: str
    """The file, with the name of the group in brackets where there are groups."""
    x: NDArray[np.float32] | None
    """(window, features); None where the series is too short."""
    note: str = ""
    """What the user must know about the prediction; usually empty."""


def last_windows(table: Table, form: TableForm) -> list[Window]:
    """Return the last window of each series of a table.

    Where columns are known ahead, the window ends at the last row with targets, and the rows after it contain what is
    known of the future. A table without such rows is predicted as if its last rows were the future.

    Args:
        table: with the columns of the form's features, and in the units of the training data.
        form: of the model.

    Raises:
        DataError: the table does not fit the form, or each of its series is too short.
    """
    _require_columns(table, form)
    columns = Columns(table)
    windows = [_last_window(columns, series, form) for series in find_series(table, form)]
    if all(window.x is None for window in windows):
        raise DataError(f"{windows[0].source}: {windows[0].note}")
    return windows


def _require_columns(table: Table, form: TableForm) -> None:
    """Raise a `DataError` for a column of the training data that the table lacks; the targets may be absent."""
    order = [name for name in (form.date, form.group) if name is not None]
    names = list(dict.fromkeys([*order, *(feature.column for feature in form.features)]))
    if missing := [name for name in names if name not in table.names]:
        raise DataError(
            f"{table.source}: has no column {missing[0]!r}, expected {', '.join(names)}, the columns that the model "
            "was trained with"
        )


def _last_window(columns: Columns, series: OneSeries, form: TableForm) -> Window:
    source = f"{columns.table.source}[{series.name}]" if form.group else columns.table.source
    past, note = past_steps(columns, series, form), ""
    future = len(series) - past
    if form.ahead and not future:
        past -= form.ahead
        rows = f"{form.ahead:,} rows" if form.ahead > 1 else "row"
        note = f"has no row after the last one with targets, so the forecast is for its last {rows}"
    elif future < form.ahead:
        known = ", ".join(dict.fromkeys(feature.column for feature in form.features if feature.ahead))
        raise DataError(
            f"{source}: rows after the last one with targets: {future:,}, expected {form.ahead:,} with {known}, which "
            "the model was trained to know ahead"
        )
    if past < max(form.window, 1):
        rows = f"{max(past, 0):,} rows{' before the forecast' if form.ahead else ''}"
        return Window(source, None, f"contains {rows}, expected at least {form.window:,}, the window of the model")
    x = features(columns, series, form, past, AS_TRAINED)
    return Window(source, np.ascontiguousarray(x[past - form.window if form.window else 0 :], np.float32), note)
