"""Sequences that a program gives: arrays, lists of arrays, padded batches, texts and data frames.

No library of data frames is imported for arrays, texts, and frames of models that were trained on arrays. Only a frame
for a model that prepares tables goes through `zoo.data.frame_tables`, which is imported then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import as_array
from zoo.data.categories import names_of
from zoo.data.frames import column_names, read_table
from zoo.data.signature import Signature, TextForm
from zoo.errors import DataError

__all__ = ["Given", "given_sequences"]


class Given(NamedTuple):
    """A sequence in memory, before `zoo.data.steps.as_steps` checks it."""

    name: str
    """What answers call it: its index such as ``[0]``; for a table with several sequences the group or recording in
    brackets, after the index where a list of tables is given."""
    value: str | NDArray[Any] | None
    """A text, (time, features) numbers, or (time,) token ids; None where a series is too short to predict."""
    note: str = ""
    """What the user must know of it; usually empty."""


def given_sequences(x: Any, signature: Signature, lengths: Any = None) -> list[Given]:
    """Return the sequences that a user gives.

    Args:
        x: a list of sequences, or a single one. A sequence is an array (time, features) or (time,) token ids, a text,
            or a table: a data frame, a structured array, a dictionary of columns, or any object with an Arrow stream. A
            table is prepared as the training data were, and may contain several sequences; for a model of arrays the
            columns are taken by name. An array with one axis more contains several sequences.
        signature: of the model.
        lengths: (sequences,) valid steps of each sequence of an array that is padded; None where all are valid.

    Raises:
        DataError: ``x`` is none of these, or a table does not fit the model.
    """
    if lengths is not None:
        return _padded(x, signature, lengths)
    if isinstance(x, str):
        return [Given("[0]", x)]
    if _is_table(x):
        return list(_of_table(x, signature, "x", ""))
    if hasattr(x, "__array__"):
        values = as_array(x, "x")
        if values.dtype.kind in "UO":  # texts
            return list(_of_list(values.ravel().tolist(), signature))
        alone = values.ndim <= _axes(signature)
        return [Given("[0]", values)] if alone else list(_of_list(values, signature))
    if not isinstance(x, Iterable) or isinstance(x, bytes | Mapping):
        raise DataError(f"x: is of type {type(x).__name__}, expected arrays, texts or data frames")
    return list(_of_list(x, signature))


def _axes(signature: Signature) -> int:
    """Return the number of axes of one sequence."""
    return 2 if signature.features else 1


def _is_table(x: Any) -> bool:
    stream = hasattr(x, "__arrow_c_stream__") and not hasattr(x, "__array__")
    return stream or column_names(x) is not None


def _of_list(x: Iterable[Any], signature: Signature) -> Iterator[Given]:
    for number, item in enumerate(x):
        if not isinstance(item, str) and _is_table(item):
            yield from _of_table(item, signature, f"x[{number}]", f"[{number}]")
        else:
            yield Given(f"[{number}]", item)


def _padded(x: Any, signature: Signature, lengths: Any) -> list[Given]:
    """Return the valid steps of each sequence of a padded array."""
    values, counts = as_array(x, "x"), as_array(lengths, "lengths")
    if values.ndim != _axes(signature) + 1:
        form = "(sequences, time, features)" if signature.features else "(sequences, time)"
        raise DataError(f"x: has the shape {values.shape}, expected a padded array {form}, since lengths are given")
    if counts.shape != values.shape[:1] or counts.dtype.kind not in "iu":
        raise DataError(
            f"lengths: are {counts.dtype} of the shape {counts.shape}, expected integers of the shape "
            f"{values.shape[:1]}, one for each sequence"
        )
    wrong = (counts < 1) | (counts > values.shape[1])
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(f"lengths: [{row}] is {counts[row]}, expected 1 to {values.shape[1]}, the steps of x")
    rows = zip(values, counts.tolist(), strict=True)
    return [Given(f"[{number}]", row[:count]) for number, (row, count) in enumerate(rows)]


def _of_table(table: Any, signature: Signature, where: str, index: str) -> Iterator[Given]:
    """Yield the sequences of a table; ``index`` is its index in brackets where it is one of a list."""
    if signature.tokenizer:
        yield from _texts(table, signature, where, index)
    elif signature.form is not None or column_names(table) is None:
        from zoo.data.frame_tables import frame_inputs

        for name, steps, note in frame_inputs(table, signature, where):
            yield Given(f"{index}{name}" or "[0]", steps, note)
    elif not signature.features:
        raise DataError(f"{where}: is a table, and this model takes tokens; give an array of token ids")
    else:
        names = signature.columns or tuple(column_names(table) or ())
        yield Given(index or "[0]", read_table(table, names, where, signature.window, signature.categories))


def _texts(table: Any, signature: Signature, where: str, index: str) -> Iterator[Given]:
    """Yield the texts of the column that the model was trained on."""
    keys, column = column_names(table) or {}, (signature.text or TextForm()).column
    if column not in keys:
        raise DataError(
            f"{where}: has no column {column!r}, the column of texts that the model was trained with; columns: "
            f"{', '.join(keys)}"
        )
    for row, text in enumerate(names_of(np.asarray(table[keys[column]], object))):
        yield Given(f"{index}[{row}]", text or "")
