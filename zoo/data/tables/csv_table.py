"""CSV files to tables: polars reads them; where it cannot, the rows are read again so that the error names the line."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.data.csvfile import MISSING_MARKS, cell_number, csv_rows
from zoo.data.tables.dialect import Dialect
from zoo.data.tables.separators import recognise_separator, separator_name
from zoo.data.tables.table import Source, Table
from zoo.errors import DataError

if TYPE_CHECKING:
    import polars as pl

IsHeader = Callable[[list[str]], bool]
"""A function that decides whether the cells of the first row are names."""
HEAD = 2**16
"""Bytes at the beginning of a file from which the separator is recognised."""
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read_csv(source: str, data: bytes, dialect: Dialect, is_header: IsHeader | None = None) -> Table:
    """Return the table of a CSV file whose first row names the columns.

    Args:
        source: the file as messages name it.
        data: its content.
        dialect: how it is written.
        is_header: whether the first row names the columns; where it does not, they are called 1, 2 and so on, and it is
            a row of the table. None where it must.

    Raises:
        DataError: the content is not such a table; the message names the position as file:line:column.
    """
    data, encoding = _as_utf8(source, data, dialect.encoding)
    head = data[:HEAD] if len(data) <= HEAD else data[: data.rfind(b"\n", 0, HEAD) + 1]
    separator = dialect.separator or recognise_separator(source, head.decode(errors="replace"))
    header, frame, lines = _fast(data, separator) or _exact(source, data, separator)
    if header is None or is_header is None or is_header(header[1]):
        names = header_names(source, header)
    else:
        names, frame, lines = _unnamed(header, frame, lines)
    if not frame.height:
        raise DataError(f"{source}: has no rows below the names of its columns, expected at least one")
    form = f"separated by {separator_name(separator)}" + (f", encoded as {encoding}" if encoding else "")
    commas = separator != "," or b'"' in data
    return Table(Source(source, form, lines, dialect=dialect, commas=commas), names, frame)


def header_names(source: str, header: tuple[int, list[str]] | None) -> list[str]:
    """Return the names of the columns.

    Args:
        source: the file as messages name it.
        header: (line number, cells) of the first row; None for an empty file.

    Raises:
        DataError: the file is empty, or the row contains no names or the same name twice.
    """
    if header is None:
        raise DataError(f"{source}: is empty, expected a line with the names of the columns and rows below it")
    line, cells = header
    names = [cell.strip() for cell in cells]
    if cells[0].startswith("sep="):
        raise DataError(f"{source}:{line}: is a hint for Excel, expected the names of the columns; remove the line")
    if all(map(_is_value, names)):
        raise DataError(f"{source}:{line}: contains no names of columns; add them as the first line")
    before: set[str] = set()
    for index, name in enumerate(names):
        if name and name in before:  # several columns may be without a name: a spec cannot refer to them
            raise DataError(f"{source}:{line}:{index + 1}: names a second column {name!r}; rename one of them")
        before.add(name)
    return names


def _is_value(cell: str) -> bool:
    """Return whether a cell is a number, a date or a mark for a missing one rather than a name."""
    number = cell_number(cell) is not None or re.fullmatch(r"[\d.,:/+-]+([T ][\d.,:+-]+Z?)?", cell)
    return cell.lower() in MISSING_MARKS or bool(number)


def _as_utf8(source: str, data: bytes, stated: str | None) -> tuple[bytes, str]:
    """Return the content in UTF-8 without its mark, and the name of another encoding that it had."""
    marked = next((name for mark, name in _BOMS.items() if data.startswith(mark)), "")
    encoding = stated or marked or "utf-8"
    name = codec_name(encoding)
    try:
        if name != "utf-8" or marked == "utf-8-sig":
            text = data.decode("utf-8-sig" if name == "utf-8" else encoding)
            data = text.encode()
    except UnicodeError as error:
        at = f":{data.count(10, 0, error.start) + 1}" if isinstance(error, UnicodeDecodeError) else ""
        raise DataError(f"{source}{at}: is not text in {encoding}; correct data.encoding or the file") from None
    return data, "" if name.startswith("utf-8") else encoding.upper()


def codec_name(encoding: str) -> str:
    """Return Python's name of an encoding, or raise the error of a spec that names none."""
    try:
        with suppress(UnicodeError):
            b"a".decode(encoding)  # refuses codecs of bytes such as zlib
        return codecs.lookup(encoding).name
    except LookupError:
        raise DataError(
            f"data.encoding: {encoding!r} is no encoding that Python knows; give one such as cp1252"
        ) from None


_Rows = tuple["tuple[int, list[str]] | None", "pl.DataFrame", NDArray[np.int64]]
"""The line and the cells of the first row (None for an empty file), the cells of the others, and the line of each."""


def _fast(data: bytes, separator: str) -> _Rows | None:
    """Return the first row and the others where `fast_rows` reads them."""
    if (rows := fast_rows(data, separator)) is None:
        return None
    frame, lines = rows
    return (int(lines[0]), list(frame.row(0))), frame[1:], lines[1:]


def fast_rows(data: bytes, separator: str) -> tuple[pl.DataFrame, NDArray[np.int64]] | None:
    """Return the rows as polars reads them, the first one among them, and the line of each.

    None where polars fails or may read differently from the csv module.

    polars fills rows that are too short, reads empty lines as rows, and forgives quotes inside of cells; so separators
    and rows are counted, and quotes have to be where cells begin and end.
    """
    import polars as pl

    mark = separator.encode()
    end = len(data)
    while end and data[end - 1] in b"\r\n":  # empty lines at the end are allowed
        end -= 1
    quoted = b'"' in data
    if not end or len(mark) != 1 or b"\0" in data or (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")):
        return None
    if quoted and not _quotes_fit(data, mark):
        return None
    # Without a line break at the end, polars drops an empty cell that is too many in the last row.
    content = data if 0 < len(data) - end <= 2 else data[:end] + b"\n"
    try:
        frame = pl.read_csv(
            content, has_header=False, infer_schema=False, separator=separator, empty_string_is_null=False
        )
    except (pl.exceptions.PolarsError, OSError):
        return None
    separators = content.count(mark)
    lines = np.arange(1, frame.height + 1)
    if quoted:
        inside, breaks = (frame.select(pl.all().str.count_matches(text, literal=True)) for text in (separator, "\n"))
        separators -= int(inside.sum().sum_horizontal().item())
        lines += breaks.sum_horizontal().cast(pl.Int64).cum_sum().to_numpy()
    if separators != (frame.width - 1) * frame.height or (frame.width == 1 and (frame.to_series() == "").any()):
        return None
    return frame, lines


def _quotes_fit(data: bytes, mark: bytes) -> bool:
    """Return whether quotes are only where cells begin and end, by turns."""
    content = np.frombuffer(b"\n" + data + b"\n", np.uint8)
    at = np.flatnonzero(content == ord('"'))
    opened, closed = at[::2], at[1::2]
    before, after = np.frombuffer(b"\n" + mark, np.uint8), np.frombuffer(b"\r\n" + mark, np.uint8)
    return (
        len(opened) == len(closed)
        and bool(np.isin(content[opened - 1], before).all())
        and bool(np.isin(content[closed + 1], after).all())
    )


def _unnamed(
    first: tuple[int, list[str]], frame: pl.DataFrame, lines: NDArray[np.int64]
) -> tuple[list[str], pl.DataFrame, NDArray[np.int64]]:
    """Return numbers as names, and the rows after the first one, which has the line and the cells ``first``."""
    import polars as pl

    line, cells = first
    names = [str(number) for number in range(1, len(cells) + 1)]
    whole = pl.DataFrame({name: pl.Series([cell], dtype=pl.String) for name, cell in zip(names, cells, strict=True)})
    rows = frame.rename(dict(zip(frame.columns, names, strict=True)))
    return names, whole.vstack(rows), np.concatenate([[line], lines])


def _exact(source: str, data: bytes, separator: str) -> _Rows:
    """Return the rows as the csv module reads them, or raise the error of a line."""
    import polars as pl

    require_text(source, data)
    rows = exact_rows(source, io.BytesIO(data), separator)
    header = next(rows, None)
    if header is None:
        return None, pl.DataFrame(), np.zeros(0, np.int64)
    width = len(header[1])
    cells: list[str] = []
    lines: list[int] = []
    for line, row in rows:
        cells.extend(row)
        lines.append(line)
    columns = {str(index): pl.Series(cells[index::width], dtype=pl.String) for index in range(width)}
    return header, pl.DataFrame(columns), np.array(lines, np.int64)


def require_text(source: str, data: bytes, before: int = 0) -> None:
    """Raise a `DataError` for a part of a file, after ``before`` lines, that is not UTF-8 text or has a NUL byte."""
    if b"\0" in data:
        line = before + data.count(b"\n", 0, data.index(b"\0")) + 1
        raise DataError(f"{source}:{line}: contains a NUL byte; for UTF-16 text set data.encoding, such as utf-16-le")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = before + data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{source}:{line}: is not UTF-8 text; give a text file saved as UTF-8, or set data.encoding, such as cp1252"
        ) from None


def exact_rows(source: str, stream: Iterable[bytes], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the cells of each row as the csv module reads them, or raise the error of a line.

    Args:
        source: the file as messages name it.
        stream: its lines in UTF-8.
        separator: the character between two cells.

    Raises:
        DataError: a row is not CSV, or has another number of cells than the first.
    """
    width = 0
    for line, row in csv_rows(Path(source), stream, separator):
        width = width or len(row)
        if len(row) != width:
            raise DataError(f"{source}:{line}: columns: {len(row)}, expected {width} as in the first line")
        yield line, row
