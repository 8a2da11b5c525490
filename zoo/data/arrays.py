"""A user's arrays as a model takes them, or one line that says what is wrong with them and where. NumPy only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError

Place = Callable[[tuple[int, ...]], str]
"""From the index of a value, counted from 0, to the words for where it is, the file among them."""

NUMBERS, TOKENS = "iuf", "iu"
"""NumPy's kinds of the dtypes that can be numbers, and tokens."""
_ADVICE: Mapping[str, str] = {
    "b": "convert them to 0 and 1 with astype('float32')",
    "c": "give real and imaginary parts as features of their own",
    "O": "convert them with astype('float32')",
    "S": "convert them with astype('float32')",
    "U": "convert them with astype('float32')",
    "M": "give numbers, such as the seconds since some moment",
    "m": "give numbers, such as seconds",
}
"""What to do with values of a kind that are no numbers."""


def as_array(value: Any, where: str) -> NDArray[Any]:
    """What a user gave as an array: an array of any kind, or numbers in lists.

    Raises:
        DataError: where any value is masked, since NumPy would take the number beneath the mask; where lists are not of
            one shape.
    """
    masked = sys.modules.get("numpy.ma")  # NumPy imports it for whoever uses it, in some 30 ms
    if masked is not None and type(value) is not np.ndarray and (count := _masked(value, masked)):
        raise DataError(
            f"{where}: {count:,} values are masked, expected none; fill them with filled(), or leave them out"
        )
    try:
        return np.asarray(value)
    except ValueError as error:  # lists of different lengths, say
        raise DataError(
            f"{where}: is no array of one shape; every list in it needs as many values as the others"
        ) from error


def _masked(value: Any, masked: Any) -> int:
    """How many values are masked, in lists of masked arrays too; ``masked`` is the module ``numpy.ma``."""
    if isinstance(value, list | tuple):
        return sum(_masked(part, masked) for part in value)
    return int(np.count_nonzero(masked.getmask(value))) if isinstance(value, masked.MaskedArray) else 0


def require_kind(dtype: np.dtype[Any], where: str, *, tokens: bool = False) -> None:
    """Raise a `DataError` for a dtype that is none of numbers or, where the model takes tokens, of integers.

    Truth values are refused: whoever gives them by mistake, such as a mask in place of the data, would get an answer.
    """
    if dtype.kind in (TOKENS if tokens else NUMBERS):
        return
    if tokens:
        advice = "; convert whole numbers with astype('int64')" if dtype.kind == "f" else ""
        raise DataError(f"{where}: holds values of type {dtype}, expected integers, one a token{advice}")
    advice = _ADVICE.get(dtype.kind, "give one plain number a feature")
    raise DataError(f"{where}: holds values of type {dtype}, expected real numbers such as float32; {advice}")


def to_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """The same numbers, contiguous; those that float32 cannot hold are infinite, without NumPy's warning."""
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
    """Raise a `DataError` that names the first number that is not finite.

    Args:
        narrow: the numbers as they are to be computed with.
        values: the same as the user gave them, for the message.
        place: where one is.
        valid: which of the first axes count, such as (batch, time); all when None.
        advice: what to do.
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
    """Tokens as int64, contiguous, each of which the model knows; 0 in place of those that do not count.

    Args:
        values: integers.
        count: how many the model knows; 0 where that is unknown, and then only negative ones are refused.
        place: where one is.
        valid: as of `require_finite`.

    Raises:
        DataError: with the first token that is outside. ONNX Runtime would read -1 as the last one.
    """
    tokens = np.ascontiguousarray(values, np.int64)  # more than int64 holds becomes negative, and so is outside too
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
    return tuple(int(number) for number in np.unravel_index(np.argmax(where), where.shape))
