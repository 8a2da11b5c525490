"""Validation of user arrays: conversion to the dtypes of a model, and errors that name the position. NumPy only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError

Place = Callable[[tuple[int, ...]], str]
"""A function from the index of a value, counted from 0, to its position in words, the file included."""

NUMBERS, TOKENS = "iuf", "iu"
"""Kinds of NumPy dtypes (``dtype.kind``) that are accepted as numbers and as tokens."""
_ADVICE: Mapping[str, str] = {
    "b": "convert them to 0 and 1 with astype('float32')",
    "c": "give real and imaginary parts as features of their own",
    "V": "give one plain number per feature",
    "M": "give numbers, such as the seconds since a fixed date",
    "m": "give numbers, such as seconds",
}
"""Advice of the error for kinds of dtypes that ``astype`` alone does not convert well."""


def as_array(value: Any, where: str) -> NDArray[Any]:
    """Return an array of any dtype from an array or nested lists of numbers; ``where`` begins the message of an error.

    Raises:
        DataError: a value is masked, for which NumPy would use the number under the mask; or the nested lists differ in
            length.
    """
    masked = sys.modules.get("numpy.ma")  # None: no masked array exists, and importing the module takes 30 ms
    if masked is not None and type(value) is not np.ndarray and (count := _masked(value, masked)):
        raise DataError(
            f"{where}: contains masked values ({count:,}), expected none; replace them with filled() or remove them"
        )
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError(f"{where}: contains lists or arrays of different shapes; give all of them one shape") from error


def _masked(value: Any, masked: Any) -> int:
    """Count the masked values of an array, or of the arrays in nested lists; ``masked`` is the module ``numpy.ma``."""
    if isinstance(value, list | tuple):
        return sum(_masked(part, masked) for part in value)
    return int(np.count_nonzero(masked.getmask(value))) if isinstance(value, masked.MaskedArray) else 0


def require_kind(dtype: np.dtype[Any], where: str, *, tokens: bool = False) -> None:
    """Raise a `DataError` for a dtype that is not a real number or, where the model takes tokens, not an integer.

    Booleans are rejected: an array of them is more likely a mask, given by mistake in place of the data.
    """
    if dtype.kind in (TOKENS if tokens else NUMBERS):
        return
    if tokens:
        advice = "; convert whole numbers with astype('int64')" if dtype.kind == "f" else ""
        raise DataError(f"{where}: contains values of type {dtype}, expected integers, one per token{advice}")
    advice = _ADVICE.get(dtype.kind, "convert them with astype('float32')")
    raise DataError(f"{where}: contains values of type {dtype}, expected real numbers such as float32; {advice}")


def to_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return the numbers as contiguous float32; those beyond its range become infinite, without NumPy's warning."""
    if values.dtype.kind == "f" and values.dtype.itemsize > 4:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.ascontiguousarray(values, np.float32)
    return np.ascontiguousarray(values, np.float32)


def require_finite(
    narrow: NDArray[Any],
    values: NDArray[Any],
    place: Place,
    *,
    valid: NDArray[np.bool_] | None = None,
    advice: str = "replace or remove it",
) -> None:
    """Raise a `DataError` that names the first number that is NaN, infinite, or beyond the range of float32.

    Args:
        narrow: the numbers as float32.
        values: the same numbers as the user gave them, for the message.
        place: returns the position of a value in words.
        valid: mask over the first axes, such as (batch, time): positions to check; None for all.
        advice: what the message recommends.
    """
    finite = np.isfinite(narrow)
    if finite.all():
        return
    if valid is not None:
        finite[~valid] = True
        if finite.all():
            return
    index = _first(~finite)
    fault = "more than float32 can hold" if np.isfinite(values[index]) else "not a finite number"
    raise DataError(f"{place(index)}: {values[index]} is {fault}; {advice}")


def to_tokens(
    values: NDArray[Any], count: int, place: Place, *, valid: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Return token ids as contiguous int64, each inside the vocabulary; ids at positions that are not valid become 0.

    Args:
        values: token ids, any integer dtype.
        count: size of the vocabulary; 0 where it is unknown, so that only negative ids are rejected.
        place: returns the position of a value in words.
        valid: mask over the first axes: positions to check; None for all.

    Raises:
        DataError: a token id is out of range; the message names the first. ONNX Runtime reads -1 as the last token.
    """
    tokens = np.ascontiguousarray(values, np.int64)  # an id beyond int64 becomes negative, so out of range too
    top = count - 1 if count else np.iinfo(np.int64).max
    if tokens.min() >= 0 and tokens.max() <= top:
        return tokens
    outside = (tokens < 0) | (tokens > top)
    if valid is not None:
        outside &= valid
        tokens = np.where(valid, tokens, 0)
    if outside.any():
        index = _first(outside)
        expected = f"expected 0 to {top}" if count else "expected 0 or more"
        raise DataError(f"{place(index)}: has the token {values[index]}, {expected}")
    return tokens


def _first(where: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the index of the first true value."""
    return tuple(int(number) for number in np.unravel_index(np.argmax(where), where.shape))
