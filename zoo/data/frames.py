"""Tables in memory: data frames of any library, structured arrays, and dictionaries of columns. Needs NumPy only.

No library of data frames is imported: a table is what has names of columns and gives a column for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import as_array, require_finite, require_kind, to_float32
from zoo.data.categories import category_ids, category_names, is_categorical, names_of
from zoo.errors import DataError


def column_names(table: Any) -> dict[str, Any] | None:
    """Return the names of the columns of a table as texts, each with the key that gives the column.

    Args:
        table: any object.

    Returns:
        The keys by name, in the order of the columns; None where ``table`` is no table.
    """
    if isinstance(table, Mapping):
        keys = list(table)
    elif isinstance(table, np.ndarray):
        keys = list(table.dtype.names or ())
    elif isinstance(names := getattr(table, "column_names", None), list):  # of pyarrow
        keys = names
    else:
        columns = getattr(table, "columns", None)
        keys = [] if columns is None or callable(columns) else list(columns)
    return {str(key): key for key in keys} or None


def read_table(
    table: Any,
    columns: Sequence[str],
    where: str,
    window: int = 0,
    categories: Sequence[Sequence[str]] = (),
) -> NDArray[np.float32]:
    """Return columns of a table as numbers, or as ids of categories; other columns are ignored.

    Args:
        table: an object for which `column_names` returns names.
        columns: names of the columns to read, in the order of the result.
        where: begins the message of an error.
        window: number of rows to read, from the end; 0 for all.
        categories: for each column the names of its categories, see `zoo.Signature.categories`; empty where all are
            numbers.

    Returns:
        (rows, columns), finite. The id of a category is 0 where the value is missing or has none of the names.

    Raises:
        DataError: a column is missing or is no column of finite numbers, or there are too few rows.
    """
    keys = column_names(table) or {}
    if missing := [name for name in columns if name not in keys]:
        raise DataError(f"{where}: has no column {missing[0]!r}, expected {', '.join(columns)}; got {', '.join(keys)}")
    arrays = []
    for name, names in zip(columns, categories or ((),) * len(columns), strict=True):
        values = as_array(table[keys[name]], f"{where}, column {name!r}")
        if names:
            values = category_ids(names_of(values), names)
        require_kind(values.dtype, f"{where}, column {name!r}")
        if values.ndim != 1 or len(values) < max(1, window):
            expected = f"at least {window} rows, the window of the model" if window else "a number for each step"
            raise DataError(f"{where}, column {name!r}: has the shape {values.shape}, expected {expected}")
        arrays.append(values[-window:])
    if len({len(values) for values in arrays}) > 1:
        sizes = ", ".join(f"{name} {len(values):,}" for name, values in zip(columns, arrays, strict=True))
        raise DataError(f"{where}: has columns of different lengths: {sizes}")
    values = np.stack(arrays, 1)
    narrow = to_float32(values)
    require_finite(narrow, values, lambda at: f"{where}, column {columns[at[1]]!r}, row [{at[0]}]")
    return narrow


def table_categories(tables: Sequence[Any], columns: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return for each column the names of its categories in all tables; empty for a column of numbers.

    A column has categories where, in some table, its values are texts or booleans or its dtype is one of categories.

    Args:
        tables: objects for which `column_names` returns names.
        columns: names of the columns.
    """
    result: list[tuple[str, ...]] = []
    for name in columns:
        given = [table[keys[name]] for table in tables if name in (keys := column_names(table) or {})]
        arrays = [np.asarray(column) for column in given]
        categorical = any(map(is_categorical, given, arrays))
        names = [name for values in arrays for name in names_of(values)] if categorical else []
        result.append(category_names(names))
    return tuple(result)
