"""Data frames for a model that prepares tables: as a table of `zoo.data.tables`, then prepared like a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import as_array
from zoo.data.categories import MISSING
from zoo.data.frames import column_names
from zoo.data.inputs import table_form, table_inputs
from zoo.data.preparation.form import TableForm
from zoo.data.recordings.form import RecordingForm
from zoo.data.signature import Signature
from zoo.data.tables.dialect import RECOGNISED, Dialect
from zoo.data.tables.table import Source, Table
from zoo.errors import DataError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["frame_inputs", "frame_table"]


def frame_inputs(frame: Any, signature: Signature, where: str) -> Iterator[tuple[str, NDArray[np.float32] | None, str]]:
    """Yield the sequences of a data frame, prepared as in training: name, steps, and what the user must know.

    Args:
        frame: see `frame_table`.
        signature: of a model with named columns.
        where: begins the message of an error.

    Returns:
        The name is the group or recording in brackets, empty where the frame is one sequence. Series that are too short
        come last, without steps.

    Raises:
        DataError: the frame does not fit the model.
    """
    form = table_form(signature)
    if form is None:
        raise DataError(f"{where}: is a table, and this model has no names of columns; give an array")
    table = frame_table(frame, where, form.reading.dialect if isinstance(form, RecordingForm) else form.dialect)
    if isinstance(form, TableForm) and form.date not in table.names and not (form.sort or form.every):
        form = replace(form, date=None)  # the rows of a frame are in their order
    notes: dict[str, str] = {}
    for source, steps in table_inputs(table, form, notes):
        yield source.removeprefix(where), steps, notes.pop(source, "")
    for source, note in notes.items():
        yield source.removeprefix(where), None, note


def frame_table(frame: Any, where: str, dialect: Dialect = RECOGNISED) -> Table:
    """Return a data frame as a table; columns keep their types.

    Args:
        frame: a frame of polars, pandas or pyarrow, any object with an Arrow stream, a structured array, or a
            dictionary of columns. A named index of a pandas frame is a column.
        where: what messages call it.
        dialect: how texts in it are written.

    Raises:
        DataError: columns differ in length, there are none, or there are no rows.
    """
    columns = _polars_frame(frame, where)
    if not columns.height:
        raise DataError(f"{where}: has no rows, expected at least one")
    source = Source(where, "a data frame", np.arange(columns.height), has_lines=False, has_cells=False, dialect=dialect)
    return Table(source, columns.columns, columns)


def _polars_frame(frame: Any, where: str) -> pl.DataFrame:
    import polars as pl

    if isinstance(frame, pl.DataFrame):
        return frame
    index = getattr(getattr(frame, "index", None), "names", None)
    if index is not None and any(name is not None for name in index):
        frame = frame.reset_index()
    if hasattr(frame, "__arrow_c_stream__"):
        try:
            return pl.DataFrame(frame)
        except (ImportError, TypeError, ValueError, pl.exceptions.PolarsError):
            pass  # such as a frame of pandas without pyarrow: its columns are arrays
    series = {
        name: _column(frame[key], f"{where}, column {name!r}") for name, key in (column_names(frame) or {}).items()
    }
    if not series:
        raise DataError(f"{where}: has no columns, expected those of the training data")
    if len({len(values) for values in series.values()}) > 1:
        sizes = ", ".join(f"{name} {len(values):,}" for name, values in series.items())
        raise DataError(f"{where}: has columns of different lengths: {sizes}")
    return pl.DataFrame(series)


def _column(column: Any, where: str) -> pl.Series:
    """Return a column as polars has it: numbers, booleans, dates, or texts; null where a value is missing."""
    import polars as pl

    values = as_array(column, where)
    if values.ndim != 1:
        raise DataError(f"{where}: has the shape {values.shape}, expected a value for each row")
    if values.dtype.kind == "M":
        return pl.Series(values.astype("datetime64[us]"))
    if values.dtype.kind in "biufU":
        return pl.Series(values.astype(np.float64) if values.dtype == np.float16 else values)
    given = [None if not isinstance(value, str) and str(value) in MISSING else value for value in values.tolist()]
    for kind in (bool, Real, date):
        if all(value is None or isinstance(value, kind) for value in given):
            return pl.Series(given, strict=False)
    return pl.Series([None if value is None else str(value) for value in given], dtype=pl.String)
