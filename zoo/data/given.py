"""Sequences and targets in memory, from NumPy arrays or tables: checked, described and divided into parts.

Needs NumPy only; `zoo.Dataset.from_arrays` makes tensors of the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import as_array, require_finite, require_kind, to_float32
from zoo.data.frames import column_names, read_table, table_categories
from zoo.data.resolution import lost_resolution
from zoo.data.signature import IGNORED, Scale, Signature
from zoo.errors import DataError

Array = NDArray[Any]


@dataclass(frozen=True)
class Sequences:
    """Sequences of numbers as one batch."""

    x: NDArray[np.float32]
    """(sequences, time, features), zero beyond each length."""
    lengths: NDArray[np.int64]
    """(sequences,) valid steps of each sequence."""
    columns: tuple[str, ...]
    """Names of the features; empty where they have none."""
    categories: tuple[tuple[str, ...], ...] = ()
    """Names of the categories of each feature; see `zoo.Signature.categories`."""
    lost: tuple[str, ...] = ()
    """Sentences on features whose different values are equal in float32."""

    @property
    def vary(self) -> bool:
        """Whether the sequences differ in length."""
        return bool((self.lengths != self.x.shape[1]).any())

    def with_categories_of(self, rows: Array) -> Sequences:
        """Return the sequences with the categories of some of them alone: others become unknown.

        Args:
            rows: the rows of the training part.

        Raises:
            DataError: these rows have no category of a feature.
        """
        if not self.categories:
            return self
        x, categories = self.x.copy(), list(self.categories)
        for feature, names in enumerate(self.categories):
            if not names:
                continue
            present = np.isin(np.arange(1, len(names) + 1), self.x[rows][..., feature])
            if not present.any():
                raise DataError(
                    f"x: column {self.columns[feature]!r} has no value in the training part; leave it out, or give "
                    "more sequences"
                )
            ids = np.concatenate([[0], np.where(present, np.cumsum(present), 0)])
            x[..., feature] = ids[x[..., feature].astype(np.int64)]
            categories[feature] = tuple(name for name, given in zip(names, present, strict=True) if given)
        return replace(self, x=x, categories=tuple(categories))


@dataclass(frozen=True)
class Targets:
    """Targets as one array, with the part of the signature that describes them."""

    y: Array
    """See `zoo.Split.y`."""
    signature: Signature
    """Its fields of the target; the others have their defaults."""

    @property
    def classes(self) -> Array | None:
        """(sequences,) class of each sequence; None where a sequence has none."""
        signature = self.signature
        return self.y if signature.labels and not (signature.by_step or signature.multilabel) else None


def read_sequences(x: Any) -> Sequences:
    """Return sequences as one batch.

    Args:
        x: an array (sequences, time, features), or a list with an array (time, features) or a table for each sequence.

    Raises:
        DataError: a shape, dtype or value is invalid; the message names the sequence and the step.
    """
    listed = isinstance(x, list | tuple)
    rows: Any = x if listed else as_array(x, "x")
    if not listed and np.ndim(rows) != 3:
        raise DataError(
            f"x: has the shape {np.shape(rows)}, expected (sequences, time, features), or a list of arrays (time, "
            "features)"
        )
    if len(rows) == 0:
        raise DataError("x: contains no sequence, expected at least three")
    names = column_names(rows[0]) if listed else None
    columns = tuple(names or ())
    categories = table_categories(rows, columns) if columns else ()
    categories = categories if any(categories) else ()
    steps = [_steps(row, columns, f"x[{number}]", categories) for number, row in enumerate(rows)]
    features = steps[0].shape[1]
    for number, values in enumerate(steps):
        if values.shape[1] != features:
            raise DataError(f"x[{number}]: has {values.shape[1]} features, expected {features} as in x[0]")
    lengths = np.array([len(values) for values in steps], np.int64)
    batch = np.zeros((len(steps), int(lengths.max()), features), np.float32)
    for row, values in zip(batch, steps, strict=True):
        row[: len(values)] = values
    return Sequences(batch, lengths, columns, categories, tuple(_lost(rows, columns, categories, features)))


def _lost(
    rows: Sequence[Any], columns: tuple[str, ...], categories: tuple[tuple[str, ...], ...], features: int
) -> Iterator[str]:
    """Yield a sentence on each feature whose different values are equal in float32."""
    for feature in range(features):
        if categories and categories[feature]:
            continue
        keys = [column_names(row) or {} for row in rows] if columns else []
        values = (
            [np.asarray(row[key[columns[feature]]]) for row, key in zip(rows, keys, strict=True)]
            if columns
            else [np.asarray(row)[:, feature] for row in rows]
        )
        if (
            values[0].dtype.itemsize > 2
            and values[0].dtype != np.float32
            and (lost := lost_resolution(np.concatenate(values)))
        ):
            name = repr(columns[feature]) if columns else f"feature [{feature}]"
            yield f"{name}: {lost}; subtract {lost.offset:.17g} before."


def _steps(
    sequence: Any, columns: tuple[str, ...], where: str, categories: tuple[tuple[str, ...], ...]
) -> NDArray[np.float32]:
    """Return one sequence (time, features)."""
    if columns:
        return read_table(sequence, columns, where, categories=categories)
    values = as_array(sequence, where)
    require_kind(values.dtype, where)
    if values.ndim != 2 or 0 in values.shape:
        raise DataError(f"{where}: has the shape {values.shape}, expected (time, features) with at least one step")
    narrow = to_float32(values)
    require_finite(narrow, values, lambda at: f"{where}, step [{at[0]}], feature [{at[1]}]")
    return narrow


def read_targets(y: Any, x: Sequences, labels: Sequence[str] | None = None) -> Targets:
    """Return the targets of sequences; their dtype and shape decide what they are.

    Args:
        y: integers, booleans or texts are labels: (sequences,), or for each step (sequences, time) or a list of arrays
            (time,). Floating-point numbers are (sequences,), (sequences, targets) or, for the steps of a horizon,
            (sequences, horizon, targets); for each step they are a list of arrays (time,) or (time, targets), NaN where
            a step has none. A table gives the names of its columns to the targets, and a table of booleans has a label
            in each column.
        x: the sequences.
        labels: the names of the labels, where a sequence may have several: y is then (sequences, labels), true or 1
            where it has the label.

    Raises:
        DataError: a shape, dtype or value is invalid.
    """
    if (names := column_names(y)) is not None:
        columns = {name: as_array(y[key], f"y, column {name!r}") for name, key in names.items()}
        if all(column.dtype.kind == "b" for column in columns.values()):
            columns = {name: column.astype(np.float32) for name, column in columns.items()}
            return _several_labels(read_table(columns, tuple(names), "y"), tuple(labels or names), x)
        values = read_table(y, tuple(names), "y")
        return _numbers(values, tuple(names), x) if labels is None else _several_labels(values, tuple(labels), x)
    if labels is not None:
        return _several_labels(as_array(y, "y"), tuple(labels), x)
    if isinstance(y, list | tuple) and y and np.ndim(y[0]) in (1, 2):
        rows = [as_array(row, f"y[{number}]") for number, row in enumerate(y)]
        floating, deep = any(row.dtype.kind == "f" for row in rows), rows[0].ndim == 2
        if floating and (not deep or [len(row) for row in rows] == x.lengths.tolist()):
            return _step_numbers(rows, x)
        if not deep:
            return _labels(rows, x)
    values = as_array(y, "y")
    if values.dtype.kind == "f":
        return _numbers(values, (), x)
    if values.ndim == 2:
        return _labels(list(values), x)
    if values.ndim != 1:
        raise DataError(
            f"y: has the shape {values.shape} and the type {values.dtype}, expected labels for each sequence or step; "
            "convert numbers to predict with astype('float32')"
        )
    _require_count(len(values), x)
    numbers, labels = _classes(values)
    return Targets(numbers, Signature(labels=labels))


def _require_count(count: int, x: Sequences) -> None:
    if count != len(x.x):
        raise DataError(f"y: has targets for {count:,} sequences, and x has {len(x.x):,} sequences")


def _classes(values: Array) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the index of the class of each value, and the labels; numbers are sorted by size, texts as texts."""
    if values.dtype.kind == "O" and all(isinstance(value, str) for value in values):  # as data frames hold texts
        values = values.astype(str)
    if values.dtype.kind not in "iubU":
        raise DataError(f"y: contains values of type {values.dtype}, expected labels: integers, booleans or texts")
    distinct, numbers = np.unique(values, return_inverse=True)
    if len(distinct) < 2:
        raise DataError(f"y: every target is {str(distinct[0])!r}; add sequences with another label")
    return numbers.astype(np.int64), tuple(map(str, distinct))


def _labels(rows: Sequence[Array], x: Sequences) -> Targets:
    """Return a label for each step of each sequence."""
    _require_count(len(rows), x)
    for number, (row, length) in enumerate(zip(rows, x.lengths, strict=True)):
        if row.shape != (length,):
            raise DataError(f"y[{number}]: has the shape {row.shape}, expected a label for each of {length:,} steps")
    numbers, labels = _classes(np.concatenate(rows))
    y = np.full(x.x.shape[:2], IGNORED, np.int64)
    y[np.arange(x.x.shape[1]) < x.lengths[:, None]] = numbers
    return Targets(y, Signature(labels=labels, by_step=True))


def _several_labels(values: Array, labels: tuple[str, ...], x: Sequences) -> Targets:
    """Return 1 for each label that a sequence has, else 0."""
    _require_count(len(values), x)
    if values.shape != (len(x.x), len(labels)) or not labels:
        raise DataError(f"y: has the shape {values.shape}, expected a column for each of {len(labels):,} labels")
    if len(set(labels)) < len(labels):
        raise DataError(f"labels: {next(label for label in labels if labels.count(label) > 1)!r} occurs twice")
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise DataError(f"y: contains values of type {values.dtype} besides 0 and 1, expected 0 and 1, or booleans")
    return Targets(values.astype(np.float32), Signature(labels=labels, multilabel=True))


def _step_numbers(rows: Sequence[Array], x: Sequences) -> Targets:
    """Return numbers for each step of each sequence, NaN in the padding."""
    _require_count(len(rows), x)
    rows = [row[:, None] if row.ndim == 1 else row for row in rows]
    count = rows[0].shape[-1]
    y = np.full((*x.x.shape[:2], count), np.nan, np.float32)
    for number, (row, length) in enumerate(zip(rows, x.lengths, strict=True)):
        require_kind(row.dtype, f"y[{number}]")
        if row.shape != (length, count) or not count:
            raise DataError(f"y[{number}]: has the shape {row.shape}, expected numbers for each of {length:,} steps")
        y[number, :length] = to_float32(row)
        if np.isinf(y[number]).any():
            raise DataError(f"y[{number}]: has a number that is infinite or more than float32 can hold; replace it")
    return Targets(y, Signature(targets=_target_names(count), by_step=True))


def _target_names(count: int) -> tuple[str, ...]:
    return ("y",) if count == 1 else tuple(f"y{number}" for number in range(count))


def _numbers(values: Array, names: tuple[str, ...], x: Sequences) -> Targets:
    """Return numbers for each sequence, or for the steps of its future."""
    _require_count(len(values), x)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim > 3 or 0 in values.shape:
        raise DataError(
            f"y: has the shape {values.shape}, expected (sequences, targets) or (sequences, horizon, targets)"
        )
    narrow = to_float32(values)
    require_finite(narrow, values, lambda at: f"y{list(at)}")
    count = values.shape[-1]
    return Targets(
        narrow, Signature(targets=names or _target_names(count), horizon=values.shape[1] if values.ndim == 3 else 0)
    )


def divide(count: int, classes: Array | None, shares: tuple[float, float], seed: int | None) -> list[NDArray[np.int64]]:
    """Return the rows of the parts for training, validation and test, each in ascending order.

    Args:
        count: number of sequences.
        classes: (count,) class of each sequence, of which each part gets its share; None for no classes.
        shares: of the validation part and of the test part.
        seed: of the random order from which the parts are taken; None for the order of the sequences.

    Raises:
        DataError: the shares leave a part without a sequence.
    """
    validation, test = shares
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise DataError(
            f"validation, test: the shares are {validation:g} and {test:g}, expected to be positive with a sum below 1"
        )
    order = np.arange(count) if seed is None else np.random.RandomState(seed).permutation(count)
    groups = np.zeros(count, np.int64) if classes is None or seed is None else classes[order]
    position = np.empty(count)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    part = np.searchsorted([1 - validation - test, 1 - test], position, side="right")
    parts = [np.sort(order[part == number]) for number in range(3)]
    if not all(map(len, parts)):
        sizes = ", ".join(f"{len(rows):,}" for rows in parts)
        raise DataError(f"x: {count:,} sequences give parts of {sizes}; give more sequences or larger shares")
    return parts


def describe(x: Sequences, y: Targets, rows: Array) -> Signature:
    """Return the signature of sequences and targets, with scales from the training part.

    Args:
        x: all sequences.
        y: all targets.
        rows: the rows of the training part.
    """
    steps = x.x[rows][np.arange(x.x.shape[1]) < x.lengths[rows][:, None]]
    steps[:, [place for place, names in enumerate(x.categories) if names]] = 0  # ids have no scale
    numbers = y.signature.targets
    return replace(
        y.signature,
        features=x.x.shape[2],
        columns=x.columns,
        categories=x.categories,
        input_scale=_scale(steps),
        lengths=x.vary,
        target_scale=_target_scale(y.y[rows].reshape(-1, len(numbers))) if numbers else None,
    )


def _target_scale(values: NDArray[np.float32]) -> Scale:
    """Return the scale of targets (rows, columns), of which those that are NaN do not count."""
    missing = np.isnan(values)
    if not missing.any():
        return _scale(values)
    columns = [column[~absent] for column, absent in zip(values.T, missing.T, strict=True)]
    if not all(map(len, columns)):
        raise DataError("y: a target has no number in the training part; add sequences that have")
    scales = [_scale(column[:, None]) for column in columns]
    return Scale(tuple(scale.offset[0] for scale in scales), tuple(scale.factor[0] for scale in scales))


def _scale(values: NDArray[np.float32]) -> Scale:
    """Return mean and standard deviation of each column of (rows, columns); a constant column has a factor of 1."""
    mean, deviation = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64)
    # The model keeps scales as float32, in which a small factor may be 0.
    return Scale(tuple(mean.tolist()), tuple(np.where(deviation.astype(np.float32) == 0, 1.0, deviation).tolist()))


def repeated(x: Sequences, parts: Sequence[Array]) -> dict[str, int]:
    """Count the sequences of validation and test that the training part contains too."""
    keys = [values[:length].tobytes() for values, length in zip(x.x, x.lengths, strict=True)]
    learnt = {keys[row] for row in parts[0]}
    named = zip(("validation", "test"), parts[1:], strict=True)
    return {name: sum(keys[row] in learnt for row in rows) for name, rows in named}


def in_words(x: Sequences, seed: int | None, stratified: bool) -> str:
    """Return the sequences and the split as a sentence."""
    count, time, features = x.x.shape
    steps = f"{x.lengths.min():,} to {time:,}" if x.vary else f"{time:,}"
    how = "in their order" if seed is None else f"drawn with seed {seed}{', stratified by label' if stratified else ''}"
    plural = "" if features == 1 else "s"
    categorical = sum(map(bool, x.categories))
    kinds = f", {categorical:,} of them categorical" if categorical else ""
    sentence = (
        f"{count:,} sequences of {steps} steps with {features:,} feature{plural} each{kinds}; the parts are {how}."
    )
    return " ".join([sentence, *x.lost])
