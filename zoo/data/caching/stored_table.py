"""Tables whose columns are read from disk one at a time, by the code of tables in memory."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from zoo.data.datafile import open_data
from zoo.data.tables.csv_table import HEAD, codec_name, exact_rows, fast_rows, header_names, require_text
from zoo.data.tables.dialect import Dialect
from zoo.data.tables.read import TEXT_SUFFIXES, read_table
from zoo.data.tables.separators import recognise_separator, separator_name
from zoo.data.tables.table import Source, Table
from zoo.errors import DataError
from zoo.progress import report

if TYPE_CHECKING:
    import polars as pl

__all__ = ["STORED", "stored_table"]

STORED = (*TEXT_SUFFIXES, ".parquet")
"""Endings of the files that `stored_table` reads."""
BLOCK = 2**25
"""Bytes of a text file that are read at a time."""


class StoredFrame:
    """Columns in files, one below the other; the part of a polars data frame that a table needs."""

    def __init__(
        self, files: Sequence[Path], read: Callable[..., pl.DataFrame], dtypes: list[pl.DataType], height: int
    ) -> None:
        """Make a frame of files.

        Args:
            files: in the order of their rows.
            read: reads chosen ``columns`` of a file.
            dtypes: types of the columns.
            height: number of all rows.
        """
        self.dtypes, self.height = dtypes, height
        self._files, self._read = files, read

    def to_series(self, index: int, /) -> pl.Series:
        """Return a column."""
        import polars as pl

        return pl.concat([self._read(file, columns=[index]).to_series() for file in self._files], rechunk=False)

    def __getitem__(self, key: Any, /) -> Any:
        """Return a cell by its row and column, or the data frame of some rows."""
        import polars as pl

        if isinstance(key, tuple):
            return self.to_series(key[1])[key[0]]
        return pl.DataFrame([self.to_series(index)[key].alias(str(index)) for index in range(len(self.dtypes))])


def stored_table(path: Path, dialect: Dialect, folder: Path) -> Table:
    """Return the table of a file, equal to that of `zoo.read_table`, of which a few columns at a time are in memory.

    Args:
        path: a file with one of the endings `STORED`. A text file is copied by blocks of lines into Arrow files.
        dialect: how the cells of a text file are written.
        folder: for the copy.

    Raises:
        DataError: the file is not such a table, or has another ending; the message names the position.
    """
    import polars as pl

    suffix = path.suffix.lower()
    if suffix not in STORED:
        raise DataError(
            f"{path}: is too large for the memory, and the cache reads {', '.join(STORED)}; write it in one of these "
            "forms"
        )
    if suffix == ".parquet":
        try:
            schema = pl.read_parquet_schema(path)
            height = int(pl.scan_parquet(path).select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
            return read_table(path, dialect)  # which raises the error
        if not height or not schema:
            return read_table(path, dialect)
        source = Source(str(path), "Parquet", range(height), has_lines=False, has_cells=False, dialect=dialect)
        return Table(source, list(schema), StoredFrame([path], pl.read_parquet, list(schema.values()), height))
    if suffix == ".tsv" and dialect.separator is None:
        dialect = replace(dialect, separator="\t")
    return _stored_csv(path, dialect, folder)


def _stored_csv(path: Path, dialect: Dialect, folder: Path) -> Table:
    import polars as pl

    size = max(1, path.stat().st_size)
    separator, header, commas = dialect.separator or "", None, False
    files: list[Path] = []
    lines: list[NDArray[np.int64] | range] = []
    done = before = 0
    with open_data(path) as stream:
        for block in _blocks(path, stream, dialect.encoding):
            if not separator:
                head = block[: block.rfind(b"\n", 0, HEAD) + 1] or block
                separator = recognise_separator(str(path), head.decode(errors="replace"))
            rows = fast_rows(block, separator)
            if rows is None or (header and rows[0].width != len(header)):
                require_text(str(path), block, before)
                raise _exact_error(path, separator)
            frame, numbers = rows
            numbers = numbers + before
            before += block.count(b"\n")
            if header is None:
                header = header_names(str(path), (int(numbers[0]), list(frame.row(0))))
                frame, numbers = frame[1:], numbers[1:]
            commas |= separator != "," or b'"' in block
            files.append(folder / f"table-{len(files)}.arrow")
            frame.write_ipc(files[-1], compression="lz4")
            lines.append(_as_range(numbers))
            done += len(block)
            report(f"reading {path}", min(1.0, done / size))
    if header is None or not sum(map(len, lines)):
        return read_table(path, dialect)  # which raises the error
    form = f"separated by {separator_name(separator)}"
    source = Source(str(path), form, _joined(lines), dialect=dialect, commas=commas)
    frames = StoredFrame(files, pl.read_ipc, [pl.String()] * len(header), len(source.lines))
    return Table(source, header, frames)


def _as_range(lines: NDArray[np.int64]) -> NDArray[np.int64] | range:
    """Return lines as a range where they follow each other, which takes no memory."""
    if len(lines) and int(lines[-1]) - int(lines[0]) == len(lines) - 1:  # they increase
        return range(int(lines[0]), int(lines[-1]) + 1)
    return lines


def _joined(parts: Sequence[NDArray[np.int64] | range]) -> NDArray[np.int64] | range:
    """Return the lines of blocks together, of which some has lines."""
    parts = [part for part in parts if len(part)]
    first, last = int(parts[0][0]), int(parts[-1][-1])
    if last - first + 1 == sum(map(len, parts)):
        return range(first, last + 1)
    return np.concatenate(parts)


def _blocks(path: Path, stream: BinaryIO, encoding: str | None) -> Iterator[bytes]:
    """Yield the content in blocks of whole rows, none of which ends with an empty line but the last."""
    rest = stream.read(BLOCK)
    marked = rest.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if marked or not codec_name(encoding or "utf-8").startswith("utf-8"):
        raise DataError(f"{path}: is not in UTF-8, in which the cache reads text; write it again in UTF-8")
    rest = rest.removeprefix(codecs.BOM_UTF8)
    while rest:
        end = rest.rfind(b"\n") + 1
        while end and rest.count(b'"', 0, end) % 2:  # the line break is in a quoted cell
            end = rest.rfind(b"\n", 0, end - 1) + 1
        filled = len(rest[:end].rstrip(b"\r\n"))
        if end and filled:
            end = rest.index(b"\n", filled) + 1
            yield rest[:end]
            rest = rest[end:]
        read = stream.read(BLOCK)
        if not read:
            break
        rest += read
    if rest.strip(b"\r\n"):
        yield rest


def _exact_error(path: Path, separator: str) -> DataError:
    """Return the error of a file that polars does not read as the csv module, as `zoo.read_table` raises it."""
    with open_data(path) as stream:
        try:
            for _ in exact_rows(str(path), stream, separator):
                pass
        except DataError as error:
            return error
    return DataError(
        f"{path}: has rows that can be read only in memory, such as those with quotes inside of cells; write it again, "
        "for example as Parquet"
    )
