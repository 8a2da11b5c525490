"""Inputs of a prediction: arrays, lists of arrays, texts and data frames, as sequences for an exported model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

from zoo.data.arrays import as_array
from zoo.data.frames import column_names, read_table
from zoo.data.signature import Signature
from zoo.errors import DataError

Sequence = str | NDArray[Any]


def sequences(x: Any, signature: Signature) -> list[Sequence]:
    """Return the sequences that a user gives, for `zoo.runtime.OnnxModel.predict`, which checks each of them.

    Args:
        x: a list of sequences, or a single one. A sequence is an array (time, features) or (time,) token ids, a text,
            or a table: a data frame, a structured array or a dictionary of columns, from which the columns of the
            training data are taken by name, and their last rows where the model has a window. An array with one axis
            more contains several sequences.
        signature: of the model.

    Raises:
        DataError: ``x`` is none of these, or a table lacks a column.
    """
    if isinstance(x, str) or column_names(x) is not None:
        return [_sequence(x, signature, "x")]
    if hasattr(x, "__array__"):
        values = as_array(x, "x")
        if values.dtype.kind in "UO":  # texts
            return [_sequence(item, signature, f"x[{number}]") for number, item in enumerate(values.ravel().tolist())]
        alone = values.ndim <= (2 if signature.features else 1)
        return [values] if alone else list(values)
    if not isinstance(x, Iterable) or isinstance(x, bytes | Mapping):
        raise DataError(f"x: is of type {type(x).__name__}, expected arrays, texts or data frames")
    return [_sequence(item, signature, f"x[{number}]") for number, item in enumerate(x)]


def _sequence(value: Any, signature: Signature, where: str) -> Sequence:
    if isinstance(value, str):
        return value
    names = column_names(value)
    if names is None:
        return as_array(value, where)
    if not signature.features:
        raise DataError(f"{where}: is a table, and this model takes tokens; give a text or an array of token ids")
    return read_table(value, signature.columns or tuple(names), where, signature.window, signature.categories)
