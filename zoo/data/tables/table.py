"""A table in memory: named columns as numbers, texts or dates, and the place of each cell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.data.csvfile import MISSING_MARKS, not_a_number, show_cell
from zoo.data.tables.dates import DateForm
from zoo.data.tables.dialect import Dialect
from zoo.errors import DataError

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["number", "text", "boolean", "date"]

_LISTED = 12
"""Largest number of column names that a message lists."""


class Table:
    """Named columns of a file, rows in the order of the file."""

    def __init__(
        self, source: str, frame: pl.DataFrame, lines: NDArray[np.int64], summary: str, dialect: Dialect = Dialect()
    ) -> None:
        self.source = source
        self.names: tuple[str, ...] = tuple(frame.columns)
        self.summary = summary
        self._frame = frame
        self._lines = lines
        self._dialect = dialect

    def __len__(self) -> int:
        return self._frame.height

    def place(self, row: int, name: str | None = None) -> str:
        """Return ``file:line`` of a row, counted from 0, or ``file:line:column`` of a cell."""
        column = "" if name is None else f":{self.names.index(name) + 1}"
        return f"{self.source}:{self._lines[row]}{column}"

    def take(self, rows: NDArray[np.int64]) -> Table:
        """Return the table of some rows, by their numbers from 0; each keeps its place in the file."""
        return Table(self.source, self._frame[rows], self._lines[rows], self.summary, self._dialect)

    def require(self, name: str, field: str) -> None:
        """Raise a `DataError` where the column does not exist that ``data.<field>`` names."""
        if name not in self.names:
            raise no_column(self.source, name, field, self.names)

    def kind(self, name: str) -> Kind:
        """Return what most cells of a column are."""
        cells = [cell for cell in self.texts(name) if cell is not None and cell.lower() not in MISSING_MARKS]
        numbers = self._frame[name].cast(float, strict=False).is_not_null().sum()
        if cells and 2 * numbers >= len(cells):
            return "number"
        if cells and all(cell.lower() in ("true", "false") for cell in cells):
            return "boolean"
        try:
            self.dates(name, DateForm())
        except DataError:
            return "text"
        return "date"

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as float64 (rows,), NaN where a cell is missing.

        Raises:
            DataError: a cell is not a number.
        """
        values = np.full(len(self), np.nan)
        for row, cell in enumerate(self.texts(name)):
            if cell is not None and cell.lower() not in MISSING_MARKS:
                try:
                    values[row] = float(cell)
                except ValueError:
                    raise not_a_number(self.place(row, name), cell) from None
        return values

    def texts(self, name: str) -> list[str | None]:
        """Return a column as texts without surrounding white space, None where a cell is missing."""
        return [cell.strip() or None for cell in self._frame[name].to_list()]

    def dates(self, name: str, form: DateForm = DateForm()) -> NDArray[np.datetime64]:
        """Return a column as datetime64[us] (rows,), in UTC where the dates have a zone.

        Raises:
            DataError: a cell is not a date.
        """
        moments = []
        for row, cell in enumerate(self.texts(name)):
            try:
                moment = datetime.fromisoformat(cell or "")
            except ValueError:
                raise DataError(f"{self.place(row, name)}: {show_cell(cell or '')} is not a date") from None
            moments.append(moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment)
        return np.array(moments, "datetime64[us]")


def no_column(source: str, name: str, field_name: str, names: Sequence[str]) -> DataError:
    """Return the error for a column that the field ``data.<field_name>`` names and the file lacks."""
    close = get_close_matches(name, names, 1, 0.6)
    guess = f" (did you mean {close[0]!r}?)" if close else ""
    listed = ", ".join(map(repr, filter(None, names[:_LISTED])))
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return DataError(f"{source}: has no column {name!r}{guess}, which data.{field_name} names; columns: {listed}{more}")
