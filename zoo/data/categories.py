"""Categories: the names of a column's values, their ids, and the check of ids that a user gives. Needs NumPy only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import Place
from zoo.data.signature import Signature
from zoo.errors import DataError

MISSING = frozenset({"None", "nan", "NaN", "<NA>", "NaT"})
"""How the marks of data frames for a missing value print."""
CATEGORICAL = ("category", "Categorical", "Enum")
"""Beginnings of the names of the dtypes that data frames have for categories."""


def is_categorical(column: Any, values: NDArray[Any]) -> bool:
    """Return whether a column contains categories: by its dtype, or by values that are texts or booleans.

    Args:
        column: the column as the data frame gives it.
        values: the same as an array.
    """
    if str(getattr(column, "dtype", "")).startswith(CATEGORICAL) or values.dtype.kind in "bU":
        return True
    if values.dtype.kind != "O":
        return False
    given = [value for value in values.flat if str(value) not in MISSING]
    return bool(given) and all(isinstance(value, str | bool | np.bool_) for value in given)


def names_of(values: NDArray[Any]) -> list[str | None]:
    """Return the name of the category of each value, None where it is missing; that of a boolean is True or False."""
    return [None if (name := str(value)) in MISSING else name for value in values.tolist()]


def category_names(names: Iterable[str | None]) -> tuple[str, ...]:
    """Return the different names, sorted."""
    return tuple(sorted({name for name in names if name is not None}))


def category_ids(names: Sequence[str | None], categories: Sequence[str]) -> NDArray[np.float32]:
    """Return the id of each name: k for the k-th category, 0 for another name and for None."""
    ids: Mapping[str | None, int] = {name: number for number, name in enumerate(categories, 1)}
    return np.array([ids.get(name, 0) for name in names], np.float32)


def require_ids(
    x: NDArray[np.float32], signature: Signature, place: Place, valid: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Return numbers whose features with categories contain ids, 0 where a position is not valid and the id is none.

    Args:
        x: (..., features), or with groups (batch, time, features) or (time, features).
        signature: states which features have categories.
        place: returns the position of a value in words.
        valid: mask over the first axes, such as (batch, time): positions to check; None for all.

    Raises:
        DataError: a value is no id, or a sequence belongs to several groups; the message names the first.
    """
    for feature, names in enumerate(signature.categories):
        if names:
            ids = x[..., feature]
            wrong = ~((ids >= 0) & (ids <= len(names)) & (ids == np.floor(ids)))
            if not wrong.any():
                continue
            if valid is not None and not (wrong & valid).any():
                x = x.copy()
                x[..., feature][wrong] = 0
                continue
            index = _first(wrong if valid is None else wrong & valid)
            raise DataError(
                f"{place((*index, feature))}: has the value {ids[index]:g}, expected the id of a category of "
                f"{_name(signature, feature)}, a whole number from 0 (unknown) to {len(names)} ({names[-1]})"
            )
    if signature.group is not None:
        ids = x[..., signature.group]
        moved = ids != ids[..., :1]
        moved = moved if valid is None else moved & valid
        if moved.any():
            index = _first(moved)
            name, first = _name(signature, signature.group), ids[(*index[:-1], 0)]
            raise DataError(
                f"{place((*index, signature.group))}: has the group {ids[index]:g} of {name}, expected {first:g} as at "
                "the first step; divide the sequence"
            )
    return x


def _name(signature: Signature, feature: int) -> str:
    """Return the name of a feature for a message."""
    return repr(signature.columns[feature]) if signature.columns else f"feature [{feature}]"


def _first(where: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the index of the first true value."""
    return tuple(int(number) for number in np.unravel_index(np.argmax(where), where.shape))
