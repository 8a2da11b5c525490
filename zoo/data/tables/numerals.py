"""Cells of text as numbers: decimal marks, marks between groups of digits, and what cannot be decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.data.tables.dialect import Dialect

if TYPE_CHECKING:
    import polars as pl

_EXPONENT = r"(?:[eE][+-]?\d+)?"
_UNSAFE = r"^[+-]?[1-9]\d{0,2},\d{3}$"
"""1,234: a decimal comma or a group of three digits."""
_COMMA = rf"^[+-]?(?:\d+,\d*|,\d+){_EXPONENT}$"
_POINT_GROUPS = r"^[+-]?[1-9]\d{0,2}(?:\.\d{3})+"
_COMMA_DECIMAL = rf"{_COMMA}|{_POINT_GROUPS},\d+{_EXPONENT}$"
"""1,5 and 1.234,5; 1,234 too, which `_UNSAFE` takes out."""
_COMMA_GROUPS = r"^[+-]?[1-9]\d{0,2}(?:(?:,\d{3})+\.\d*|(?:,\d{3}){2,})$"
"""1,234.5 and 1,234,567."""


@dataclass(frozen=True)
class Marks:
    """How the numbers of a column are written."""

    decimal: str = "."
    thousands: str = ""


PLAIN = Marks()


@dataclass(frozen=True)
class _Commas:
    """How many cells of a column that contain a comma are written in which way."""

    cells: int
    decimal: int
    groups: int
    unsafe: int

    @property
    def numeric(self) -> bool:
        return 2 * (self.decimal + self.groups + self.unsafe) >= self.cells


class Numerals:
    """The marks of each column of text, decided from the whole file."""

    def __init__(self, columns: Mapping[int, pl.Series], dialect: Dialect) -> None:
        """Count how commas are used.

        Args:
            columns: the columns in which a cell may contain a comma, by their number.
            dialect: what is stated, and thus not to be recognised.
        """
        self._dialect = dialect
        self._commas: dict[int, _Commas] = {}
        if dialect.decimal is None and dialect.thousands not in (",", "."):
            counts = ((index, _count(cells, dialect.thousands or "")) for index, cells in columns.items())
            self._commas = {index: count for index, count in counts if count and count.numeric}
        self.comma_decimals = any(count.decimal for count in self._commas.values())
        self._comma_groups = any(count.groups for count in self._commas.values())

    def marks(self, index: int, cells: Callable[[], pl.Series]) -> Marks | None:
        """Return how the numbers of a column are written; None where that cannot be decided.

        Args:
            index: number of the column.
            cells: gives its cells.
        """
        stated, thousands = self._dialect.decimal, self._dialect.thousands
        if stated is None and thousands in (",", "."):
            stated = "." if thousands == "," else ","
        if stated is not None:
            return Marks(stated, _other(stated) if thousands is None else thousands)
        commas = self._commas.get(index)
        if commas is None:
            return None if self.comma_decimals and _only_groups(cells()) else Marks(".", thousands or "")
        decimal, groups = commas.decimal > 0, commas.groups > 0
        if not decimal and not groups:
            decimal, groups = self.comma_decimals, self._comma_groups
        if decimal == groups:
            return None
        mark = "," if decimal else "."
        return Marks(mark, _other(mark) if thousands is None else thousands)


def to_numbers(cells: pl.Series, marks: Marks) -> pl.Series:
    """Return cells as float64, null where a cell is no number.

    Args:
        cells: texts without surrounding white space.
        marks: how they are written.
    """
    import polars as pl

    if marks == PLAIN:
        return cells.cast(pl.Float64, strict=False)
    decimal, thousands = marks.decimal, marks.thousands
    wrong = cells.str.contains(_other(decimal), literal=True)
    if thousands:
        mark = _pattern(thousands)
        grouped = rf"^[+-]?\d{{1,3}}(?:{mark}\d{{3}})+(?:[{decimal}]\d*)?{_EXPONENT}$"
        has_groups = cells.str.contains(mark)
        wrong = (has_groups & ~cells.str.contains(grouped)) | (wrong & ~has_groups)
        cells = cells.str.replace_all(mark, "")
    if decimal != ".":
        cells = cells.str.replace(decimal, ".", literal=True)
    return cells.cast(pl.Float64, strict=False).set(wrong.fill_null(False), None)


def first_unsafe(cells: pl.Series) -> int:
    """Return the row of the first cell such as 1,234 or 1.234, and 0 without one."""
    return cells.str.contains(rf"{_UNSAFE}|{_POINT_GROUPS}$").fill_null(False).arg_max() or 0


def _other(decimal: str) -> str:
    return "," if decimal == "." else "."


def _pattern(thousands: str) -> str:
    """Return the pattern of a mark between groups; a space stands for narrow and unbreakable ones too."""
    return r"[ \x{a0}\x{202f}]" if thousands == " " else rf"\x{{{ord(thousands):x}}}"


def _count(cells: pl.Series, thousands: str) -> _Commas | None:
    cells = cells.filter(cells.str.contains(",", literal=True))
    if cells.is_empty():
        return None
    cells = cells.str.strip_chars()
    if thousands:
        cells = cells.str.replace_all(_pattern(thousands), "")
    unsafe = cells.str.contains(_UNSAFE)
    groups = cells.str.contains(_COMMA_GROUPS)
    decimal = cells.str.contains(_COMMA_DECIMAL) & ~unsafe & ~groups
    return _Commas(len(cells), int(decimal.sum()), int(groups.sum()), int(unsafe.sum()))


def _only_groups(cells: pl.Series) -> bool:
    """Return whether a column has points, and each of its cells with one may be groups of three digits."""
    cells = cells.filter(cells.str.contains(".", literal=True)).str.strip_chars()
    return len(cells) > 0 and bool(cells.str.contains(rf"{_POINT_GROUPS}$").all())
