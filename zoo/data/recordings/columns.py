"""Columns by name, whatever they were read from: a table, the tables of many files, or arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from zoo.data.caching.mapped import trim
from zoo.data.caching.space import Space
from zoo.errors import DataError

Kind = Literal["number", "text", "boolean", "date"]
Numbers = NDArray[np.float64]
Texts = list[str | None]


class Columns(Protocol):
    """Columns by name, each with a value for each row; `zoo.data.tables.Table` is one."""

    @property
    def source(self) -> str:
        """The file or folder as messages name it."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def kind(self, name: str) -> Kind:
        """Return what a column contains."""

    def numbers(self, name: str) -> Numbers:
        """Return a column as numbers (rows,), NaN where a value is missing."""

    def texts(self, name: str) -> Texts:
        """Return a column as texts, None where a value is missing."""

    def place(self, row: int, name: str | None = None) -> str:
        """Return where a row, or its value of a column, stands, to begin a message with."""

    def take(self, rows: NDArray[np.int64]) -> Columns:
        """Return some rows, in the order of their numbers."""


@dataclass(frozen=True)
class ArrayColumns:
    """Columns of arrays."""

    source: str
    arrays: Mapping[str, NDArray[Any]]
    """(rows,) by name: numbers, booleans or texts."""
    where: Callable[[int, str | None], str]
    """A function from a row, counted from 0, and a column to their place in words."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.arrays)

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def kind(self, name: str) -> Kind:
        return "text" if self.arrays[name].dtype.kind == "U" else "number"  # booleans as features are 0 and 1

    def numbers(self, name: str) -> Numbers:
        values = self.arrays[name]
        if values.dtype.kind == "U":
            raise DataError(f"{self.place(0, name)}: {str(values[0])!r} is not a number; give an array of numbers")
        return values.astype(np.float64)

    def texts(self, name: str) -> Texts:
        values = self.arrays[name]
        if values.dtype.kind == "U":
            return [text or None for text in values.tolist()]
        return [None if value != value else number_text(value) for value in values.tolist()]

    def place(self, row: int, name: str | None = None) -> str:
        return self.where(row, name)

    def take(self, rows: NDArray[np.int64]) -> Columns:
        return SelectedColumns(self, rows)


def number_text(value: float | bool) -> str:
    """Return a number as the name of a class or category: whole numbers without a decimal point."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, int) or value.is_integer() else repr(value)


def feature_names(count: int) -> tuple[str, ...]:
    """Return the names of features that have none: ``x`` for a single one, else ``x0``, ``x1`` and so on."""
    return ("x",) if count == 1 else tuple(f"x{number}" for number in range(count))


@dataclass(frozen=True)
class StackedColumns:
    """The columns of several tables, one below the other; all tables must have them."""

    source: str
    parts: Sequence[Columns]
    names: tuple[str, ...]
    starts: NDArray[np.int64] = field(init=False)
    """(parts + 1,) the first row of each part, and the number of all rows."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", np.cumsum([0, *map(len, self.parts)]))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def kind(self, name: str) -> Kind:
        kinds = {part.kind(name) for part in self.parts}
        return kinds.pop() if len(kinds) == 1 else "text"

    def numbers(self, name: str) -> Numbers:
        return np.concatenate([part.numbers(name) for part in self.parts])

    def texts(self, name: str) -> Texts:
        return [text for part in self.parts for text in part.texts(name)]

    def place(self, row: int, name: str | None = None) -> str:
        part = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.parts[part].place(row - int(self.starts[part]), name)

    def take(self, rows: NDArray[np.int64]) -> Columns:
        return SelectedColumns(self, rows)


@dataclass(frozen=True)
class _OverColumns:
    """What columns that are made of others have in common with them."""

    whole: Columns

    @property
    def source(self) -> str:
        return self.whole.source

    @property
    def names(self) -> tuple[str, ...]:
        return self.whole.names

    def kind(self, name: str) -> Kind:
        return self.whole.kind(name)


@dataclass(frozen=True)
class StoredColumns(_OverColumns):
    """Other columns, of which each column of numbers is read once and then mapped from a file."""

    space: Space
    read: dict[str, Numbers] = field(default_factory=dict)
    """Columns of numbers that were read."""

    def __len__(self) -> int:
        return len(self.whole)

    def numbers(self, name: str) -> Numbers:
        if name not in self.read:
            self.read[name] = self.space.kept(self.whole.numbers(name))
        trim()
        return self.read[name]

    def texts(self, name: str) -> Texts:
        return self.whole.texts(name)

    def place(self, row: int, name: str | None = None) -> str:
        return self.whole.place(row, name)

    def take(self, rows: NDArray[np.int64]) -> Columns:
        return SelectedColumns(self, rows)


@dataclass(frozen=True)
class SelectedColumns(_OverColumns):
    """Some rows of other columns."""

    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def numbers(self, name: str) -> Numbers:
        return self.whole.numbers(name)[self.rows]

    def texts(self, name: str) -> Texts:
        texts = self.whole.texts(name)
        return [texts[row] for row in self.rows]

    def place(self, row: int, name: str | None = None) -> str:
        return self.whole.place(int(self.rows[row]), name)

    def take(self, rows: NDArray[np.int64]) -> Columns:
        return SelectedColumns(self.whole, self.rows[rows])
