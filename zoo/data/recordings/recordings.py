"""Recordings as they were read: the steps of all of them one after the other, and what holds for each as a whole."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.data.recordings.columns import Columns, Numbers, SelectedColumns, Texts, feature_names
from zoo.errors import DataError


def counted(things: Sized, noun: str) -> str:
    """Return how many things there are, in words."""
    return f"{len(things):,} {noun}{'s' * (len(things) != 1)}"


class Fact(NamedTuple):
    """A column that has a value for each recording, or for each step."""

    columns: Columns
    by_step: bool


@dataclass(frozen=True)
class Recordings:
    """Sequences of their own length."""

    source: str
    """The file or folder as messages name it."""
    ids: tuple[str, ...]
    """A name for each recording, no two the same."""
    offsets: NDArray[np.int64]
    """(recordings + 1,): the steps of recording i are ``offsets[i]`` up to but not including ``offsets[i + 1]``."""
    steps: Columns
    """A row for each step of each recording, in the order of ``offsets``."""
    whole: Columns | None = None
    """A row for each recording, such as those of an index table; None where there is no such table."""
    roles: frozenset[str] = frozenset()
    """Columns of ``steps`` that order or name the rows and are no features unless a spec names them."""
    parts: tuple[str, ...] | None = None
    """Name of the part of each recording where the files give it; None where they do not."""
    summary: tuple[str, ...] = ()
    """What was read and what was left out, in sentences without a full stop."""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(recordings,) number of steps of each."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> NDArray[np.int64]:
        """(steps,) the recording of each step."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def unnamed(self) -> int:
        """Number of features that arrays give without names; 0 where features have names."""
        names = tuple(name for name in self.steps.names if name not in self.roles)
        return len(names) if names == feature_names(len(names)) else 0

    def place(self, recording: int) -> str:
        """Return where a recording stands, to begin a message with."""
        return self.steps.place(int(self.offsets[recording]))

    def find(self, name: str, field: str) -> Fact:
        """Return where a column is: among the values of recordings, or else among those of steps.

        Args:
            name: name of the column.
            field: the field of the spec that names it, for messages.

        Raises:
            DataError: there is no such column.
        """
        if self.whole is not None and name in self.whole.names:
            return Fact(self.whole, by_step=False)
        if name in self.steps.names:
            return Fact(self.steps, by_step=True)
        names = [*self.steps.names, *(self.whole.names if self.whole is not None else ())]
        close = get_close_matches(name, names, 1, 0.6)
        guess = f" (did you mean {close[0]!r}?)" if close else ""
        listed = ", ".join(map(repr, names[:12])) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        raise DataError(f"{self.source}: has no column {name!r}{guess}, which data.{field} names; columns: {listed}")

    def texts(self, name: str, field: str) -> Texts:
        """Return a column as a text for each recording, None where it is missing.

        Raises:
            DataError: there is no such column, or it has different values within a recording; the message names the
                first row that differs.
        """
        columns, by_step = self.find(name, field)
        texts = columns.texts(name)
        if not by_step:
            return texts
        numbers: dict[str | None, int] = {}
        codes = np.array([numbers.setdefault(text, len(numbers)) for text in texts])
        self._require_constant(codes, name, field)
        return [texts[start] for start in self.offsets[:-1]]

    def numbers(self, name: str, field: str) -> Numbers:
        """Return a column as a number for each recording, NaN where it is missing; errors are those of `texts`."""
        columns, by_step = self.find(name, field)
        values = columns.numbers(name)
        if not by_step:
            return values
        self._require_constant(values, name, field)
        return values[self.offsets[:-1]]

    def _require_constant(self, values: NDArray[np.float64] | NDArray[np.int64], name: str, field: str) -> None:
        expected = np.repeat(values[self.offsets[:-1]], self.lengths)
        differs = (values != expected) & ~((values != values) & (expected != expected))
        if differs.any():
            row = int(np.argmax(differs))
            owner = int(np.searchsorted(self.offsets, row, side="right")) - 1
            texts = self.steps.texts(name)
            advice = (
                "" if field not in ("label", "targets") else ", or set data.label_by to 'step', 'last' or 'majority'"
            )
            raise DataError(
                f"{self.steps.place(row, name)}: {name!r} is {texts[row]!r}, and {texts[self.offsets[owner]]!r} in the "
                f"first step of the recording {self.ids[owner]!r}; give one value for each recording{advice}"
            )

    def take(self, rows: NDArray[np.int64]) -> Recordings:
        """Return some recordings, in the order of their numbers."""
        lengths = self.lengths[rows]
        offsets = np.cumsum(np.concatenate([[0], lengths]))
        steps = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths)
        return replace(
            self,
            ids=tuple(self.ids[row] for row in rows),
            offsets=offsets,
            steps=SelectedColumns(self.steps, steps),
            whole=None if self.whole is None else SelectedColumns(self.whole, rows),
            parts=None if self.parts is None else tuple(self.parts[row] for row in rows),
        )
