"""Choice of the features of a model, from the training steps alone: categories, fills of gaps, and offsets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zoo.data.labels import sorted_labels
from zoo.data.preparation.columns import Columns
from zoo.data.preparation.form import Feature, Missing
from zoo.data.preparation.series import OneSeries
from zoo.data.resolution import lost_resolution
from zoo.errors import DataError

__all__ = ["Steps", "fit_features", "is_category", "number_feature", "require_resolution"]

Steps = tuple[OneSeries, range]
"""A series and those of its steps that belong to the training part."""

RECOGNISED = 100
"""Largest number of different texts in a column that is a category without being declared."""


def is_category(columns: Columns, name: str, declared: Sequence[str]) -> bool:
    """Return whether a column that a spec names as a feature is a category: declared, or of texts or booleans.

    Raises:
        DataError: there is no such column, or it contains dates.
    """
    field = "categories" if name in declared else "inputs"
    columns.table.require(name, field)
    if name in declared:
        return True
    kind = columns.kind(name)
    if kind == "date":
        raise DataError(
            f"data.{field}: {name!r} is a column of dates, which are no feature; name columns of numbers or categories"
        )
    return kind in ("text", "boolean")


def fit_features(
    columns: Columns,
    training: Sequence[Steps],
    inputs: Sequence[str],
    categories: Sequence[str],
    missing: Missing,
    declared: Sequence[str],
) -> tuple[Feature, ...]:
    """Return the features for the columns of a spec, none of which looks ahead.

    Args:
        columns: of the table.
        training: the training steps of each series.
        inputs: names of the columns, in the order of their features.
        categories: those of them that are categories.
        missing: the rule for gaps.
        declared: those of the categories that the spec declares: they may have any number of names.

    Returns:
        A feature for each input; with the rule ``mask``, after all of them, a further one for each column of numbers
        that has gaps in the training steps.

    Raises:
        DataError: a column of texts has too many different ones, or none in the training part.
    """
    result, masks = [], []
    for name in inputs:
        if name in categories:
            result.append(Feature(name, "category", _names(columns, training, name, declared)))
            continue
        parts = [series.spread(columns.numbers(name))[steps.start : steps.stop] for series, steps in training]
        values = np.concatenate(parts) if len(parts) > 1 else parts[0]
        absent = np.isnan(values)
        present = values[~absent] if absent.any() else values
        gaps = missing == "mask" and len(present) < len(values)
        result.append(number_feature(name, present, masked=gaps))
        if gaps:
            masks.append(Feature(name, "missing"))
    return (*result, *masks)


def number_feature(name: str, present: NDArray[np.float64], *, masked: bool) -> Feature:
    """Return the feature of a column of numbers.

    Args:
        name: the column.
        present: (n,) its finite numbers in the training steps.
        masked: whether its gaps are filled and marked by a further feature.
    """
    lost = lost_resolution(present)
    fill = float(present.mean()) if len(present) else 0.0
    return Feature(name, offset=lost.offset if lost else 0.0, fill=fill if masked else None)


def require_resolution(values: NDArray[np.float64], target: str, source: str) -> None:
    """Raise a `DataError` for the training values (n,) of a target of which float32 merges more than half."""
    lost = lost_resolution(values)
    if lost is not None and 2 * lost.kept < lost.different:
        raise DataError(f"{source}: the target {target!r}: {lost}; subtract {lost.offset:.15g} from it")


def _names(columns: Columns, training: Sequence[Steps], name: str, declared: Sequence[str]) -> tuple[str, ...]:
    rows = [series.rows[slice(*np.searchsorted(series.steps, [part.start, part.stop]))] for series, part in training]
    names = columns.table.different(name, np.concatenate(rows))
    source = columns.table.source
    if not names:
        raise DataError(f"{source}: {name!r} has no value in the training part; leave it out of the features")
    if len(names) > RECOGNISED and name not in declared:
        example = min(names)[:30]
        raise DataError(
            f"{source}: {name!r} contains {len(names):,} different texts such as {example!r}; leave it out of "
            "data.inputs, or declare it in data.categories"
        )
    return sorted_labels(names)
