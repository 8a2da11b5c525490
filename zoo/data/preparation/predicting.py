"""The sequences of a user's table for a model: the last window of each series, prepared as in training."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.data.preparation.columns import Columns
from zoo.data.preparation.features import features, newest_targets, past_steps, target_values
from zoo.data.preparation.form import TableForm
from zoo.data.preparation.seasons import season_before
from zoo.data.preparation.series import OneSeries, find_series
from zoo.data.tables.table import Table
from zoo.errors import DataError

__all__ = ["Evaluation", "Window", "all_windows", "last_windows"]

AS_TRAINED = ", since the model was trained without gaps"


class Window(NamedTuple):
    """The sequence of a series from which its future is predicted."""

    source: str
    """The file, with the name of the group in brackets where there are groups."""
    x: NDArray[np.float32] | None
    """(window, features); None where the series is too short."""
    note: str = ""
    """What the user must know about the prediction; usually empty."""


class Evaluation(NamedTuple):
    """All windows of a series whose future is in the table."""

    source: str
    """The file, with the name of the group in brackets where there are groups."""
    last: list[str]
    """Place of the last row of each window in the file."""
    x: NDArray[np.float32]
    """(windows, window, features), a view of the rows."""
    y: NDArray[np.float64]
    """(windows, steps, targets), a single step without a horizon."""
    naive: NDArray[np.float64]
    """The same shape: persistence, see `zoo.Split`."""
    seasonal: NDArray[np.float64] | None
    """The same shape: seasonal persistence; None where the data have no season."""
    dates: NDArray[np.datetime64] | None
    """(windows, steps) date of each target row; None where the rows have none."""


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


def all_windows(table: Table, form: TableForm) -> list[Evaluation]:
    """Return every window of each series whose targets are in the table, prepared as in training.

    Args:
        table: with the columns of the form's features and its targets.
        form: of the model.

    Raises:
        DataError: the table does not fit the form, or none of its series is long enough.
    """
    _require_columns(table, form, form.targets)
    columns = Columns(table)
    evaluations = [_evaluation(columns, series, form) for series in find_series(table, form)]
    if not any(len(each.x) for each in evaluations):
        rows = max(form.window, 1) + form.horizon
        raise DataError(
            f"{table.source}: has no window with its targets, expected at least {rows:,} rows in a series, window and "
            "horizon of the model"
        )
    return [each for each in evaluations if len(each.x)]


def _evaluation(columns: Columns, series: OneSeries, form: TableForm) -> Evaluation:
    where = f"{columns.table.source}[{series.name}]" if form.group else columns.table.source
    past = past_steps(columns, series, form)
    x = np.ascontiguousarray(features(columns, series, form, past, AS_TRAINED), np.float32)
    y = target_values(columns, series, form, past, AS_TRAINED)
    newest = newest_targets(columns, series, form, past) if form.missing == "mask" else y
    steps, ahead = max(1, form.horizon), min(1, form.horizon)
    # The first row has no row before it, from which persistence could predict its targets.
    last = np.arange(max(form.window - 1, 1 - ahead), past - steps - ahead + 1)
    rows = last[:, None] + ahead + np.arange(steps)
    last, rows = (part[~np.isnan(y[rows]).any((1, 2))] for part in (last, rows)) if len(last) else (last, rows)
    naive = np.repeat(newest[last + ahead - 1][:, None], steps, 1)
    seasonal = None
    if form.season is not None:
        source, present = season_before(rows, np.zeros((len(rows), 1), np.int64), form.season)
        values = y[source]
        seasonal = np.where(present[..., None] & ~np.isnan(values), values, naive)
    if len(last):
        x = np.lib.stride_tricks.sliding_window_view(x, form.window, 0).transpose(0, 2, 1)[last - form.window + 1]
    places, dates = [series.place(int(row)) for row in last], series.dates_of_steps()
    return Evaluation(where, places, x[: len(last)], y[rows], naive, seasonal, None if dates is None else dates[rows])


def _require_columns(table: Table, form: TableForm, targets: Sequence[str] = ()) -> None:
    """Raise a `DataError` for a column of the training data that the table lacks."""
    order = [name for name in (form.date, form.group) if name is not None]
    names = list(dict.fromkeys([*order, *(feature.column for feature in form.features), *targets]))
    if missing := [name for name in names if name not in table.names]:
        close = get_close_matches(missing[0].lower(), [name.lower() for name in table.names if name not in names], 1)
        guess = next((f" (is it {name!r}?)" for name in table.names if name.lower() in close), "")
        raise DataError(
            f"{table.source}: has no column {missing[0]!r}{guess}, expected {', '.join(names)}, the columns that the "
            "model was trained with"
        )


def _last_window(columns: Columns, series: OneSeries, form: TableForm) -> Window:
    source = f"{columns.table.source}[{series.name}]" if form.group else columns.table.source
    past, note = past_steps(columns, series, form), ""
    whole, future = past, len(series) - past
    if form.ahead and not future:
        past -= form.ahead
        rows = f"{form.ahead:,} rows" if form.ahead > 1 else "row"
        note = f"has no row after the last one with targets, so the forecast is for its last {rows}"
    elif future < form.ahead:
        names = ", ".join(dict.fromkeys(feature.column for feature in form.features if feature.ahead))
        raise DataError(
            f"{source}: rows after the last one with targets: {future:,}, expected {form.ahead:,} with {names}, which "
            "the model was trained to know ahead"
        )
    if past < max(form.window, 1):
        rows = f"{max(past, 0):,} rows{' before the forecast' if form.ahead else ''}"
        return Window(source, None, f"contains {rows}, expected at least {form.window:,}, the window of the model")
    # Over all rows with targets, as in training, where a gap may be filled from a row after the window.
    x = features(columns, series, form, whole, AS_TRAINED)
    return Window(source, np.ascontiguousarray(x[past - form.window if form.window else 0 : past], np.float32), note)
