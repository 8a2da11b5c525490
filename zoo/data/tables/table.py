"""A table in memory: named columns as numbers, texts or dates, and the place of each cell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from zoo.data.csvfile import MISSING_MARKS, not_a_number, show_cell
from zoo.data.tables.date_form import RECOGNISED_FORM, DateForm
from zoo.data.tables.dates import ADVICE, CellFault, read_dates
from zoo.data.tables.dialect import RECOGNISED, Dialect
from zoo.data.tables.numerals import PLAIN, Marks, Numerals, first_unsafe, to_numbers
from zoo.errors import DataError

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["number", "text", "boolean", "date"]

_LARGEST = float(np.nextafter((2 - 2.0**-24) * 2.0**127, 0))
"""Largest number that rounds to a finite float32 (IEEE 754)."""
_MISSING = rf"(?i)^(?:{'|'.join(map(re.escape, sorted(MISSING_MARKS)))})$"
_LONGEST_MARK = max(map(len, MISSING_MARKS))
_LISTED = 12
"""Largest number of column names that a message lists."""


@dataclass(frozen=True)
class Source:
    """Where the rows of a table come from."""

    name: str
    """The file as messages name it."""
    form: str
    """How the file is written, such as ``separated by commas``; without decimal marks."""
    lines: NDArray[np.int64] | range
    """The line of each row, counted from 1; its number, counted from 0, where the format has no lines."""
    has_lines: bool = True
    """Whether the format has lines."""
    has_cells: bool = True
    """Whether a line has cells that can be counted, as in CSV."""
    dialect: Dialect = RECOGNISED
    commas: bool = True
    """Whether a cell may contain a comma."""


class Frame(Protocol):
    """What a table needs of a polars data frame."""

    @property
    def height(self) -> int: ...

    @property
    def dtypes(self) -> list[pl.DataType]: ...

    def to_series(self, index: int, /) -> pl.Series: ...

    def __getitem__(self, key: Any, /) -> Any: ...


class Table:
    """Named columns of a file, rows in the order of the file."""

    def __init__(self, source: Source, names: Sequence[str], frame: Frame, whole: Table | None = None) -> None:
        """Make a table of a polars frame.

        Args:
            source: where the rows come from.
            names: names of the columns; several may be empty, and no table is asked for these.
            frame: the columns; texts where the format has no types.
            whole: the table of which this one has some rows, and which decides how numbers are written.
        """
        self.source = source.name
        self.names: tuple[str, ...] = tuple(names)
        self._origin = source
        self._frame = frame
        self._whole = whole or self
        self._kinds: dict[str, Kind] = {}
        self._dates: dict[tuple[str, DateForm], NDArray[np.datetime64]] = {}

    @classmethod
    def of_columns(cls, source: str, columns: Mapping[str, NDArray[Any]], form: str = "arrays") -> Table:
        """Return the table of arrays in memory, each with a value for each row.

        Args:
            source: what messages call the table.
            columns: numbers, texts, booleans or datetime64, (rows,), by name.
            form: the beginning of the summary.
        """
        import polars as pl

        frame = pl.DataFrame(dict(columns))
        return cls(Source(source, form, np.arange(frame.height), has_lines=False, has_cells=False), [*columns], frame)

    def __len__(self) -> int:
        return self._frame.height

    @property
    def summary(self) -> str:
        """How the file is written and how many rows it has."""
        parts = [self._origin.form]
        marks = [marks for index in self._texts if (marks := self._marks(index)) and marks != PLAIN]
        if any(mark.decimal == "," for mark in marks):
            parts.append("decimal comma")
        elif marks:
            parts.append("digits in groups of three")
        return f"{', '.join(parts)}; {len(self):,} row{'s' * (len(self) != 1)}"

    def place(self, row: int, name: str | None = None) -> str:
        """Return ``file:line`` of a row, counted from 0, or ``file:line:column`` of a cell.

        Where a format has no lines, the place is ``file[row]``; where it has no numbers of columns, their name.
        """
        line = int(self._origin.lines[row])
        place = f"{self.source}:{line}" if self._origin.has_lines else f"{self.source}[{line}]"
        if name is None:
            return place
        column = name if name.isprintable() else repr(name)
        return f"{place}:{self._at(name) + 1 if self._origin.has_cells else column}"

    def take(self, rows: NDArray[np.int64]) -> Table:
        """Return the table of some rows, by their numbers from 0; each keeps its place in the file."""
        lines = np.asarray(self._origin.lines)[rows]
        return Table(replace(self._origin, lines=lines), self.names, self._frame[rows], self._whole)

    def require(self, name: str, field: str) -> None:
        """Raise a `DataError` where the column does not exist that ``data.<field>`` names."""
        if not name or name not in self.names:
            raise no_column(self.source, name, field, self.names)

    def kind(self, name: str) -> Kind:
        """Return what a column contains: numbers where at least half of its cells are some, and some cell is present.

        Booleans are true and false in any case. Dates are of the type of dates, or texts that are recognised without
        being called dates: those that begin with a year, a month and a day.
        """
        if name not in self._kinds:
            self._kinds[name] = self._kind_of(name)
        return self._kinds[name]

    def _kind_of(self, name: str) -> Kind:
        import polars as pl

        cells = self._cells(name, strip=False)
        if cells.dtype == pl.Boolean:
            return "boolean"
        if isinstance(cells.dtype, pl.Date | pl.Datetime):
            return "date"
        if cells.dtype.is_numeric():
            return "number" if (~self._missing(cells)).any() else "text"
        if cells.dtype != pl.String:
            return "text"
        if 2 * cells.cast(pl.Float64, strict=False).is_not_nan().sum() > len(cells):  # the fast way
            return "number"
        cells = _stripped(cells)
        missing = self._missing(cells)
        present = cells.filter(~missing) if missing.any() else cells
        marks = self._marks(self._at(name)) or Marks(",", ".")
        if len(present) and 2 * to_numbers(present, marks).count() >= len(present):
            return "number"
        if (
            len(present)
            and (present.str.len_bytes() <= 5).all()
            and present.str.to_lowercase().is_in(["true", "false"]).all()
        ):
            return "boolean"
        if len(present) and present.str.contains(r"^\d{4}-\d\d-\d\d").all():
            return "date"
        return "text"

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as float64 (rows,), NaN where a cell is missing.

        Raises:
            DataError: a cell is neither missing nor a number that float32 can hold.
        """
        import polars as pl

        cells = self._cells(name, strip=False)
        if cells.dtype.is_numeric() or cells.dtype == pl.Null:
            values = cells.cast(pl.Float64)
        elif cells.dtype != pl.String:
            raise DataError(f"{self.place(0, name)}: contains {cells.dtype}, expected numbers; name another column")
        else:
            marks = self._marks(self._at(name))
            if marks is None:
                raise self._unsafe(name, cells.str.strip_chars())
            values = to_numbers(cells, marks)
            if values.has_nulls() or self._origin.dialect.null_values:
                cells = cells.str.strip_chars()
                missing = self._missing(cells)
                values = to_numbers(cells, marks).set(missing, None)
                bad = values.is_null() & ~missing
                if bad.any():
                    row = int(bad.arg_max() or 0)
                    raise not_a_number(self.place(row, name), self._raw(row, name))
        ends: list[float] = [values.min() or 0.0, values.max() or 0.0]  # type: ignore[list-item]  # NaN are ignored
        if -ends[0] > _LARGEST or ends[1] > _LARGEST:
            row = int((values.is_not_nan() & (values.abs() > _LARGEST)).arg_max() or 0)
            cell = show_cell(self._raw(row, name))
            raise DataError(f"{self.place(row, name)}: {cell} is more than float32 can hold; replace it")
        del cells  # texts take more memory than their numbers
        array: NDArray[np.float64] = values.fill_null(float("nan")).to_numpy(writable=True)
        return array

    def texts(self, name: str) -> list[str | None]:
        """Return a column as texts without surrounding white space, None where a cell is missing.

        Missing are empty cells and those of `Dialect.null_values`; NA or none are words. Booleans are true and false.
        """
        return self._present(name).to_list()

    def different(self, name: str, rows: NDArray[np.int64]) -> set[str]:
        """Return the different `texts` of a column in some rows, missing ones left out."""
        return set(self._present(name).gather(rows).drop_nulls().unique().to_list())

    def ids(self, name: str, categories: Sequence[str]) -> NDArray[np.float64]:
        """Return the places of `texts` among categories, (rows,) float64, from 1: 0 for another, NaN where missing."""
        import polars as pl

        texts = self._present(name)
        names = pl.Series(categories, dtype=pl.String)
        places = pl.Series(range(1, len(names) + 1), dtype=pl.Float64)
        ids = texts.replace_strict(names, places, default=0.0, return_dtype=pl.Float64)
        if texts.has_nulls():
            ids = ids.set(texts.is_null(), np.nan)
        return ids.to_numpy(writable=True)

    def _present(self, name: str) -> pl.Series:
        """Return a column of `texts`."""
        import polars as pl

        texts = self._plain(name, "texts").cast(pl.String)
        empty = texts.is_in(["", *(self._origin.dialect.null_values or ())]).fill_null(False)
        return texts.set(empty, None) if empty.any() else texts

    def dates(self, name: str, form: DateForm = RECOGNISED_FORM) -> NDArray[np.datetime64]:
        """Return a column as datetime64[us] (rows,), in UTC where its cells have an offset or a zone is stated.

        The array is read-only, as it may be returned again.

        Args:
            name: name of the column.
            form: how the dates are written.

        Raises:
            DataError: a cell is missing or no date, may be two dates, or does not exist in the zone.
        """
        if (name, form) not in self._dates:
            self._dates = {(name, form): self._read_dates(name, form)}  # the latest alone, since they take memory
        return self._dates[name, form]

    def _read_dates(self, name: str, form: DateForm) -> NDArray[np.datetime64]:
        cells = self._plain(name, "dates")
        missing = self._missing(cells)
        if missing.any():
            row = int(missing.arg_max() or 0)
            raise DataError(f"{self.place(row, name)}: {show_cell(self._raw(row, name))} is not a date; {ADVICE}")
        try:
            moments = read_dates(cells, form)
        except CellFault as fault:
            cell = show_cell(self._raw(fault.row, name))
            raise DataError(f"{self.place(fault.row, name)}: {cell} {fault}") from None
        del cells  # texts take more memory than their dates
        dates: NDArray[np.datetime64] = moments.to_numpy().astype("datetime64[us]")
        dates.flags.writeable = False
        return dates

    def _unsafe(self, name: str, cells: pl.Series) -> DataError:
        """Return the error for a column of cells such as 1,234."""
        row = first_unsafe(cells)
        cell = str(cells[row])
        mark, other = (",", ".") if "," in cell else (".", ",")
        less, more = cell.replace(mark, "."), cell.replace(mark, "")
        advice = f"set data.decimal to {mark!r} or to {other!r}"
        return DataError(f"{self.place(row, name)}: {show_cell(cell)} may be {less} or {more}; {advice}")

    def _at(self, name: str) -> int:
        return self.names.index(name)

    def _raw(self, row: int, name: str) -> str:
        """Return a cell as the file has it."""
        cell = self._frame[row, self._at(name)]
        return "" if cell is None else str(cell)

    def _cells(self, name: str, *, strip: bool = True) -> pl.Series:
        """Return a column, texts without surrounding white space unless ``strip`` is False."""
        import polars as pl

        cells = self._frame.to_series(self._at(name))
        if isinstance(cells.dtype, pl.Categorical | pl.Enum):
            cells = cells.cast(pl.String)
        return _stripped(cells) if strip and cells.dtype == pl.String else cells

    def _plain(self, name: str, expected: str) -> pl.Series:
        """Return a column as `_cells` does, or raise a `DataError` where it contains lists, objects or bytes."""
        import polars as pl

        cells = self._cells(name)
        if cells.dtype.is_nested() or cells.dtype in (pl.Binary, pl.Object):
            raise DataError(f"{self.place(0, name)}: contains {cells.dtype}, expected {expected}; name another column")
        return cells

    def _missing(self, cells: pl.Series) -> pl.Series:
        """Return which cells stand for a missing number or date."""
        import polars as pl

        if cells.dtype != pl.String:
            return cells.is_null() | (cells.is_nan() if cells.dtype.is_float() else False)
        stated = self._origin.dialect.null_values
        if stated is not None:
            return cells.is_null() | cells.is_in(["", *stated])
        return cells.is_null() | ((cells.str.len_bytes() <= _LONGEST_MARK) & cells.str.contains(_MISSING))

    @cached_property
    def _texts(self) -> Mapping[int, pl.Series]:
        """The columns of text, by their number."""
        import polars as pl

        return _Chosen(self._frame, [index for index, dtype in enumerate(self._frame.dtypes) if dtype == pl.String])

    @cached_property
    def _numerals(self) -> Numerals:
        return Numerals(self._texts if self._origin.commas else {}, self._origin.dialect)

    def _marks(self, index: int) -> Marks | None:
        return self._whole._numerals.marks(index, lambda: self._whole._frame.to_series(index))


class _Chosen(Mapping[int, "pl.Series"]):
    """Some columns of a frame by their numbers; those of a file are read when they are asked for, and not kept."""

    def __init__(self, frame: Frame, numbers: Sequence[int]) -> None:
        self._frame, self._numbers = frame, numbers

    def __getitem__(self, number: int) -> pl.Series:
        return self._frame.to_series(number)

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


def _stripped(cells: pl.Series) -> pl.Series:
    """Return texts without surrounding white space; those that have none are not copied."""
    return cells.str.strip_chars() if cells.str.contains(r"^\s|\s$").any() else cells


def no_column(source: str, name: str, field_name: str, names: Sequence[str]) -> DataError:
    """Return the error for a column that the field ``data.<field_name>`` names and the file lacks."""
    close = get_close_matches(name, names, 1, 0.6)
    guess = f" (did you mean {close[0]!r}?)" if close else ""
    listed = ", ".join(map(repr, filter(None, names[:_LISTED])))
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return DataError(f"{source}: has no column {name!r}{guess}, which data.{field_name} names; columns: {listed}{more}")
