"""The features of each step of a series, by a form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.data.preparation.columns import Columns
from zoo.data.preparation.form import Feature, Missing, TableForm
from zoo.data.preparation.gaps import fill
from zoo.data.preparation.series import OneSeries
from zoo.errors import DataError
from zoo.progress import report

__all__ = ["features", "newest_targets", "past_steps", "target_values", "values_of"]

FILL = " or set data.missing to 'previous' or 'interpolate'"
"""Advice of a message about a missing value, where a spec can still be changed."""


def past_steps(columns: Columns, series: OneSeries, form: TableForm) -> int:
    """Return the number of steps up to the last one whose targets are all present; all where nothing is known ahead.

    The steps after it are the future, of which the table contains the columns that are known ahead.
    """
    if not form.ahead or any(name not in columns.table.names for name in form.targets):
        return len(series)
    absent = np.zeros(len(series), bool)
    for name in form.targets:
        absent |= np.isnan(series.spread(columns.numbers(name, "targets")))
    return len(series) - int(np.argmax(~absent[::-1])) if not absent.all() else 0


def features(
    columns: Columns, series: OneSeries, form: TableForm, past: int | None = None, advice: str = FILL
) -> NDArray[np.float64]:
    """Return the features of the past steps, (past, features), column by column in memory (Fortran order).

    A feature that looks ahead is NaN where the series ends before that row; otherwise all are finite.

    Args:
        columns: of the table.
        series: one of its series.
        form: the features, and the rule for gaps.
        past: number of steps from the first; None for all. Only features that look ahead read later ones.
        advice: what else to do about a missing value.

    Raises:
        DataError: a column does not exist, a cell is not a number, or a missing value must not or cannot be filled.
    """
    past = len(series) if past is None else past
    result = columns.space.empty((past, len(form.features)), order="F")
    for number, feature in enumerate(form.features):
        if columns.space.folder is not None:
            report(f"features of {columns.table.source}", number / len(form.features))
        end = len(series) if feature.ahead else past
        values = values_of(columns, series, form, feature, end, advice)[feature.ahead :]
        result[: len(values), number] = values[:past]
        result[len(values) :, number] = np.nan
    return result


def values_of(
    columns: Columns, series: OneSeries, form: TableForm, feature: Feature, end: int, advice: str = FILL
) -> NDArray[np.float64]:
    """Return a feature over the first ``end`` steps, (end,), as if it did not look ahead."""
    field = "known" if feature.ahead else "inputs"
    if feature.kind == "category":
        field = "group" if feature.column == form.group else "categories"
        values = series.spread(columns.ids(feature.column, feature.categories, field))[:end]
        if feature.column == form.group:  # a row that the file lacks belongs to the group too
            return np.full(end, values[0])
        if form.missing == "mask":
            return np.where(np.isnan(values), 0.0, values)
        rule: Missing = "refuse" if form.missing == "refuse" else "previous"
        return fill(series, feature.column, values, rule, start=0.0, advice=advice)
    values = series.spread(columns.numbers(feature.column, field))[:end]
    if feature.kind == "missing":
        return np.isnan(values).astype(np.float64)
    if form.missing == "mask" and feature.fill is None and np.isnan(values).any():
        step = int(np.argmax(np.isnan(values)))
        raise DataError(
            f"{series.place(step, feature.column)}: {feature.column!r} is missing, which it never is in the training "
            "part; fill it in"
        )
    values = fill(series, feature.column, values, form.missing, start=feature.fill, advice=advice)
    return values - feature.offset if feature.offset else values


def target_values(
    columns: Columns, series: OneSeries, form: TableForm, past: int, advice: str = FILL
) -> NDArray[np.float64]:
    """Return the targets of the past steps, (past, targets), with gaps filled, or NaN where the rule is ``mask``.

    Args:
        columns: of the table.
        series: one of its series.
        form: the targets, and the rule for gaps.
        past: number of steps from the first.
        advice: what else to do about a missing value.

    Raises:
        DataError: a column does not exist, or a value must not or cannot be filled.
    """
    result = np.empty((past, len(form.targets)), order="F")
    for number, name in enumerate(form.targets):
        values = series.spread(columns.numbers(name, "targets"))[:past]
        result[:, number] = (
            values if form.missing == "mask" else fill(series, name, values, form.missing, advice=advice)
        )
    return result


def newest_targets(columns: Columns, series: OneSeries, form: TableForm, past: int) -> NDArray[np.float64]:
    """Return for each past step the newest targets, (past, targets); before the first one the mean of all."""
    result = np.empty((past, len(form.targets)), order="F")
    for number, name in enumerate(form.targets):
        values = series.spread(columns.numbers(name, "targets"))[:past]
        start = 0.0 if np.isnan(values).all() else float(np.nanmean(values))
        result[:, number] = fill(series, name, values, "previous", start=start)
    return result
