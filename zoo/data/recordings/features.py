"""Columns of recordings as the features of a model, by a form that the training part fits.

The same function prepares recordings in training and in prediction. Scaling and the embedding of categories are in the
model itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zoo.data.caching.mapped import trim
from zoo.data.caching.space import MEMORY, Space
from zoo.data.labels import sorted_labels
from zoo.data.preparation.fit import RECOGNISED, number_feature
from zoo.data.preparation.form import Feature, Missing
from zoo.data.recordings.columns import Numbers
from zoo.data.recordings.recordings import Recordings
from zoo.errors import DataError

LARGEST = float(np.finfo(np.float32).max)


def fit_features(
    training: Recordings, inputs: Sequence[str], declared: Sequence[str], missing: Missing
) -> tuple[Feature, ...]:
    """Return the features for columns, learnt from the recordings of the training part.

    Args:
        training: the recordings of the training part.
        inputs: the columns, in the order of their features.
        declared: those of them that are categories though they contain numbers, or many different texts.
        missing: treatment of missing values.

    Returns:
        A feature for each column; with the rule ``mask``, after all of them, a further one for each column of numbers
        that has missing values in the training part.

    Raises:
        DataError: a column does not exist, contains dates or many different texts, or has no value.
    """
    result, masks = [], []
    for name in inputs:
        if names := _categories(training, name, name in declared):
            result.append(Feature(name, "category", names))
            continue
        values = _numbers(training, name)
        present = values[np.isfinite(values)]
        gaps = missing == "mask" and bool(np.isnan(values).any())
        result.append(number_feature(name, present, masked=gaps))
        if gaps:
            masks.append(Feature(name, "missing"))
    return (*result, *masks)


def features(
    recordings: Recordings, form: Sequence[Feature], missing: Missing, advice: str, space: Space = MEMORY
) -> NDArray[np.float32]:
    """Return the features of all steps, (steps, features), finite.

    Args:
        recordings: any recordings that have the columns of the features.
        form: the features; see `fit_features`.
        missing: treatment of missing values.
        advice: what else to do about a missing value that is refused, at the end of the message.
        space: where the result is made; in files each feature is contiguous, so that few pages are in memory.

    Raises:
        DataError: a column does not exist, or a value is missing and must not or cannot be filled, or is not finite.
    """
    order: Literal["C", "F"] = "C" if space.folder is None else "F"
    result = space.empty((len(recordings.steps), len(form)), np.float32, order)
    for number, feature in enumerate(form):
        if feature.kind == "category":
            values = _filled_ids(recordings, feature, missing, advice)
        elif feature.kind == "missing":
            values = np.isnan(_numbers(recordings, feature.column)).astype(float)
        else:
            values = (
                _filled(recordings, feature, _numbers(recordings, feature.column), missing, advice) - feature.offset
            )
        if (large := np.abs(values) > LARGEST).any():
            row = int(np.argmax(large))
            place = _place(recordings, row, feature.column)
            raise DataError(f"{place}: {values[row]} is more than float32 can hold; replace it")
        result[:, number] = values
        trim()
    return result


def missing_counts(recordings: Recordings, form: Sequence[Feature]) -> dict[str, int]:
    """Return the number of missing values of each column that has some."""
    counts = {}
    for name in dict.fromkeys(feature.column for feature in form):
        columns, _ = recordings.find(name, "inputs")
        category = any(feature.categories for feature in form if feature.column == name)
        absent = columns.texts(name).count(None) if category else int(np.isnan(columns.numbers(name)).sum())
        if absent:
            counts[name] = absent
    return counts


def _place(recordings: Recordings, row: int, name: str) -> str:
    """Return the place of a value; of its step where the column is one of whole recordings."""
    return recordings.steps.place(row, name if name in recordings.steps.names else None)


def _categories(training: Recordings, name: str, declared: bool) -> tuple[str, ...]:
    """Return the names of the categories of a column; empty for numbers."""
    columns, _ = training.find(name, "inputs")
    kind = columns.kind(name)
    if kind == "number" and not declared:
        return ()
    if kind == "date" and not declared:
        raise DataError(
            f"data.inputs: {name!r} is a column of dates, which are no feature; name columns of numbers or categories"
        )
    names = {text for text in columns.texts(name) if text is not None}
    if len(names) > RECOGNISED and not declared:
        raise DataError(
            f"{training.source}: {name!r} contains {len(names):,} different texts such as {min(names)[:30]!r}; leave "
            "it out of data.inputs, or declare it in data.categories"
        )
    if not names:
        raise DataError(f"{training.source}: {name!r} has no value in the training part; leave it out of data.inputs")
    return sorted_labels(names)


def _numbers(recordings: Recordings, name: str) -> Numbers:
    """Return a column as a number for each step, NaN where it is missing."""
    columns, by_step = recordings.find(name, "inputs")
    values = columns.numbers(name)
    return values if by_step else np.repeat(values, recordings.lengths)


def _filled_ids(recordings: Recordings, feature: Feature, missing: Missing, advice: str) -> Numbers:
    """Return the ids of a column of categories for each step; 0 for an unknown one, and for none under a mask."""
    columns, by_step = recordings.find(feature.column, "inputs")
    numbers = {name: float(number) for number, name in enumerate(feature.categories, 1)}
    texts = columns.texts(feature.column)
    ids = np.array([np.nan if text is None else numbers.get(text, 0.0) for text in texts], float)
    ids = ids if by_step else np.repeat(ids, recordings.lengths)
    if missing == "mask":
        return np.where(np.isnan(ids), 0.0, ids)
    rule: Missing = "refuse" if missing == "refuse" else "previous"
    return _filled(recordings, Feature(feature.column, fill=0.0), ids, rule, advice)


def _filled(recordings: Recordings, feature: Feature, values: Numbers, missing: Missing, advice: str) -> Numbers:
    """Return a value for each step; what is missing is never taken from another recording."""
    absent = np.isnan(values)
    if not absent.any():
        return values
    name, row = feature.column, int(np.argmax(absent))
    if missing == "refuse":
        raise DataError(f"{_place(recordings, row, name)}: {name!r} is missing; fill it in{advice}")
    if missing == "mask" and feature.fill is None:
        raise DataError(
            f"{_place(recordings, row, name)}: {name!r} is missing, which it never is in the training part; fill it in"
        )
    if missing == "interpolate":
        filled = _interpolated(recordings, values, absent)
    else:
        starts = np.repeat(recordings.offsets[:-1], recordings.lengths)
        last = np.maximum.accumulate(np.where(absent, -1, np.arange(len(values))))
        filled = np.where(last >= starts, values[last], np.nan if feature.fill is None else feature.fill)
    if (still := np.isnan(filled)).any():
        side = "on one side of it" if missing == "interpolate" else "before it"
        raise DataError(
            f"{_place(recordings, int(np.argmax(still)), name)}: {name!r} is missing, and no number {side} in the "
            "recording can fill the gap; fill it in or remove the row"
        )
    return filled


def _interpolated(recordings: Recordings, values: Numbers, absent: NDArray[np.bool_]) -> Numbers:
    """Return the values with straight lines over the gaps within each recording; NaN at its ends stays."""
    result = values.copy()
    for owner in np.unique(recordings.owners[absent]):
        part = slice(*recordings.offsets[owner : owner + 2])
        present = np.flatnonzero(~absent[part])
        if len(present):
            inner = slice(part.start + present[0], part.start + present[-1] + 1)
            along = np.arange(present[0], present[-1] + 1)
            result[inner] = np.interp(along, present, values[part][present])
    return result
