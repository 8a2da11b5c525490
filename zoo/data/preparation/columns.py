"""Columns of a table as float64: numbers, and the ids of categories; each is read once for all series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zoo.data.caching.mapped import trim
from zoo.data.caching.space import MEMORY, Space
from zoo.data.tables.table import Kind, Table

__all__ = ["Columns"]


class Columns:
    """The columns of a table that a form reads."""

    def __init__(self, table: Table, space: Space = MEMORY) -> None:
        self.table, self.space = table, space
        self._kinds: dict[str, Kind] = {}
        self._numbers: dict[str, NDArray[np.float64]] = {}
        self._ids: dict[tuple[str, tuple[str, ...]], NDArray[np.float64]] = {}

    def kind(self, name: str) -> Kind:
        """Return what a column contains; see `zoo.Table.kind`."""
        if name not in self._kinds:
            self._kinds[name] = self.table.kind(name)
        return self._kinds[name]

    def numbers(self, name: str, field: str = "inputs") -> NDArray[np.float64]:
        """Return a column of numbers, (rows,) float64, NaN where a cell is missing.

        Args:
            name: the column.
            field: the field of the spec that names it, for messages.

        Raises:
            DataError: there is no such column, or a cell is not a number in the range of float32.
        """
        if name not in self._numbers:
            self.table.require(name, field)
            self._numbers[name] = self.space.kept(self.table.numbers(name))
        trim()
        return self._numbers[name]

    def ids(self, name: str, categories: Sequence[str], field: str = "inputs") -> NDArray[np.float64]:
        """Return the ids of a column of categories, (rows,) float64: from 1, 0 for another text, NaN for no text.

        Raises:
            DataError: there is no such column.
        """
        key = (name, tuple(categories))
        if key not in self._ids:
            self.table.require(name, field)
            self._ids[key] = self.space.kept(self.table.ids(name, categories))
        return self._ids[key]
