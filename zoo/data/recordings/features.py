"""Columns of recordings as the features of a model, by a form that the training part fits.

The same function prepares recordings in training and in prediction. Scaling and the embedding of categories are in the
model itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zoo.data.recordings.columns import Numbers
from zoo.data.recordings.form import FeatureForm, Missing
from zoo.data.recordings.recordings import Recordings
from zoo.errors import DataError

LARGEST = float(np.finfo(np.float32).max)
RECOGNISED = 100
"""Largest number of different texts in a column that is taken as a category without being declared."""


def fit_features(
    training: Recordings, inputs: Sequence[str], declared: Sequence[str], missing: Missing
) -> FeatureForm:
    """Return how the columns become features, learnt from the recordings of the training part.

    Args:
        training: the recordings of the training part.
        inputs: the columns.
        declared: those of them that are categories though they contain numbers, or many different texts.
        missing: treatment of missing values.

    Raises:
        DataError: a column does not exist, or contains many different texts or dates.
    """
    categories = tuple(_categories(training, name, name in declared) for name in inputs)
    bare = FeatureForm(tuple(inputs), categories, missing)
    columns = _columns(training, bare)
    for name, values, names in zip(inputs, columns, categories, strict=True):
        if not names:
            _require_resolution(training, name, values)
    if missing != "mask":
        return bare
    means = tuple(
        0.0 if names or np.isnan(values).all() else float(np.nanmean(values))
        for values, names in zip(columns, categories, strict=True)
    )
    masked = tuple(name for name, values in zip(inputs, columns, strict=True) if np.isnan(values).any())
    return FeatureForm(bare.inputs, categories, missing, masked, means)


def features(recordings: Recordings, form: FeatureForm, advice: str) -> NDArray[np.float32]:
    """Return the features of all steps, (steps, features), finite.

    Args:
        recordings: any recordings that have the columns of the form.
        form: see `fit_features`.
        advice: what to do about a missing value that is refused, at the end of the message.

    Raises:
        DataError: a column does not exist, or a value is missing and must not or cannot be filled, or is not finite.
    """
    columns = _columns(recordings, form)
    result = np.empty((len(recordings.steps), len(form.names)), np.float32)
    for number, (name, values) in enumerate(zip(form.inputs, columns, strict=True)):
        absent = np.isnan(values)
        if name in form.masked:
            result[:, len(form.inputs) + form.masked.index(name)] = absent
        if absent.any():
            values = _filled(recordings, form, number, values, advice)
        if (large := np.abs(values) > LARGEST).any():
            row = int(np.argmax(large))
            raise DataError(
                f"{recordings.steps.place(row, _own(recordings, name))}: {values[row]} of {name!r} is more than float32 can "
                "hold; replace it"
            )
        result[:, number] = values
    return result


def _own(recordings: Recordings, name: str) -> str | None:
    """Return the name of a column of steps; None for a column of whole recordings, whose cell has no step."""
    return name if name in recordings.steps.names else None


def _categories(training: Recordings, name: str, declared: bool) -> tuple[str, ...]:
    columns, _ = training.find(name, "inputs")
    kind = columns.kind(name)
    if kind == "number" and not declared:
        return ()
    if kind == "date" and not declared:
        raise DataError(
            f"{training.source}: {name!r} contains dates, which are no feature; name it in data.order, or leave it out of "
            "data.inputs"
        )
    names = sorted({text for text in columns.texts(name) if text is not None})
    if len(names) > RECOGNISED and not declared:
        raise DataError(
            f"{columns.place(0, name)}: {name!r} contains {len(names):,} different texts such as {names[0][:30]!r}; leave "
            "it out of data.inputs, or declare it in data.categories"
        )
    if not names:
        raise DataError(f"{training.source}: {name!r} has no value in the training part; leave it out of data.inputs")
    return tuple(names)


def _columns(recordings: Recordings, form: FeatureForm) -> list[Numbers]:
    """Return each column as numbers (steps,), ids for categories, NaN where a value is missing."""
    result = []
    for name, names in zip(form.inputs, form.categories, strict=True):
        columns, by_step = recordings.find(name, "inputs")
        if names:
            ids = {text: float(number) for number, text in enumerate(names, 1)}
            values = np.array([np.nan if text is None else ids.get(text, 0.0) for text in columns.texts(name)], float)
        else:
            values = columns.numbers(name)
        result.append(values if by_step else np.repeat(values, recordings.lengths))
    return result


def _filled(recordings: Recordings, form: FeatureForm, number: int, values: Numbers, advice: str) -> Numbers:
    """Return the values of a column without NaN, by the rule of the form."""
    name, category = form.inputs[number], bool(form.categories[number])
    absent = np.isnan(values)
    own = _own(recordings, name)
    if form.missing == "refuse" or (form.missing == "mask" and name not in form.masked):
        place = recordings.steps.place(int(np.argmax(absent)), own)
        raise DataError(f"{place}: {name!r} is missing; fill it in{advice}")
    starts = np.repeat(recordings.offsets[:-1], recordings.lengths)
    rows = np.arange(len(values))
    last = np.maximum.accumulate(np.where(absent, -1, rows))
    before = np.where(last >= starts, values[last], np.nan)
    if form.missing == "interpolate" and not category:
        before = _interpolated(recordings, values, absent)
    elif form.missing == "mask":
        before = np.where(np.isnan(before), form.means[number], before)
    if (still := np.isnan(before)).any():
        side = "before" if form.missing == "previous" or category else "on one side of"
        place = recordings.steps.place(int(np.argmax(still)), own)
        raise DataError(
            f"{place}: {name!r} is missing, and the recording has no value {side} it; fill it in, or remove the row"
        )
    return before


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


def _require_resolution(training: Recordings, name: str, values: Numbers) -> None:
    """Raise a `DataError` for numbers that lie so far from 0 that float32 merges many different ones."""
    present = values[np.isfinite(values) & (np.abs(values) <= LARGEST)]
    if not len(present):
        return
    different = len(np.unique(present))
    kept = len(np.unique(present.astype(np.float32)))
    if 2 * kept < different:
        raise DataError(
            f"{training.source}: {name!r} has {different:,} different values from {present.min():.10g} to "
            f"{present.max():.10g}, of which float32 keeps {kept:,}; subtract their start, or leave it out of data.inputs"
        )
