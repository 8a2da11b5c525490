"""Files to tables, by the ending of their names."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.data.datafile import open_data
from zoo.data.tables.csv_table import IsHeader, read_csv
from zoo.data.tables.dialect import RECOGNISED, Dialect
from zoo.data.tables.table import Source, Table
from zoo.errors import DataError
from zoo.memory import machine_memory

if TYPE_CHECKING:
    import polars as pl

TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
_ARROW = (".arrow", ".feather", ".ipc")
_LINES = (".jsonl", ".ndjson")
SUFFIXES = (*TEXT_SUFFIXES, ".parquet", *_ARROW, *_LINES)
"""Endings of the files that `read_table` reads."""


def read_table(path: Path, dialect: Dialect = RECOGNISED, is_header: IsHeader | None = None) -> Table:
    """Read a table from a file of any common format, by the ending of its name.

    Args:
        path: a .csv, .tsv or .txt file, also with .gz after it, whose first line names the columns; a .parquet file;
            an Arrow file (.arrow, .feather, .ipc); JSON lines (.jsonl, .ndjson); or ``-``: CSV from standard input.
        dialect: how the cells of a text file are written.
        is_header: whether the first line of a text file names the columns; see `zoo.data.tables.csv_table.read_csv`.

    Raises:
        DataError: the file is not such a table; the message names the position as file:line:column.
    """
    if str(path) == "-":
        return read_csv("standard input", sys.stdin.buffer.read(), dialect, is_header)
    suffix = path.suffix.lower()
    with open_data(path) as stream:
        data = stream.read()
    if suffix == ".gz":
        suffix = Path(path.stem).suffix.lower()
        data = _unzipped(path, data)
    if suffix not in SUFFIXES:
        raise DataError(f"{path}: has the ending {suffix!r}, expected {', '.join(SUFFIXES)}")
    if suffix == ".tsv" and dialect.separator is None:
        dialect = replace(dialect, separator="\t")
    if suffix in TEXT_SUFFIXES:
        return read_csv(str(path), data, dialect, is_header)
    if suffix in _LINES:
        return _read_json_lines(path, data, dialect)
    return _read_arrow(path, data, dialect, "Parquet" if suffix == ".parquet" else "Arrow")


def _unzipped(path: Path, data: bytes) -> bytes:
    limit = machine_memory() // 4
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            content = stream.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: is not a complete gzip file: {error}; compress it again") from None
    if len(content) > limit:
        raise DataError(f"{path}: has more than {limit:,} bytes when it is uncompressed; uncompress and divide it")
    return content


def _read_arrow(path: Path, data: bytes, dialect: Dialect, form: str) -> Table:
    import polars as pl

    stream = form == "Arrow" and not data.startswith(b"ARROW1")
    reader: Callable[[bytes], pl.DataFrame] = (
        pl.read_parquet if form == "Parquet" else pl.read_ipc_stream if stream else pl.read_ipc
    )
    try:
        frame = reader(data)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        raise DataError(f"{path}: is not a complete {form} file; write it again, or name it after its format") from None
    source = Source(str(path), form, np.arange(frame.height), has_lines=False, has_cells=False, dialect=dialect)
    return _with_rows(source, frame)


def _read_json_lines(path: Path, data: bytes, dialect: Dialect) -> Table:
    import polars as pl

    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        if re.search(rb"\d{38}", data):  # polars reads an integer beyond 128 bits as null
            raise pl.exceptions.ComputeError
        frame = pl.read_ndjson(data, infer_schema_length=None)
        texts = [column for column in frame.get_columns() if column.dtype == pl.String]
        if any(column.str.contains(r"^[\[{]").any() for column in texts):  # polars writes lists and objects as texts
            raise pl.exceptions.ComputeError
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        objects = _json_objects(path, data)
        try:
            frame = pl.DataFrame(objects, infer_schema_length=None, strict=False)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, TypeError, OverflowError):
            raise DataError(
                f"{path}: has values that no table can hold; write numbers, texts, true and false"
            ) from None
    lines = np.arange(1, frame.height + 1)
    if frame.height != data.count(b"\n") + (not data.endswith(b"\n")):  # there are empty lines
        lines = np.array([number for number, line in enumerate(data.split(b"\n"), 1) if line.strip()], np.int64)
    return _with_rows(Source(str(path), "JSON lines", lines, has_cells=False, dialect=dialect), frame)


def _json_objects(path: Path, data: bytes) -> list[dict[str, object]]:
    """Return the objects of JSON lines that polars refuses, or raise a `DataError` for the first line at fault."""
    objects: list[dict[str, object]] = []
    kinds: dict[str, str] = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line.decode())
        except UnicodeDecodeError:
            raise DataError(f"{path}:{number}: is not UTF-8 text; give a text file saved as UTF-8") from None
        except (ValueError, RecursionError):
            raise DataError(f'{path}:{number}: is not JSON; write one object such as {{"a": 1}} on each line') from None
        if not isinstance(value, dict):
            raise DataError(f'{path}:{number}: is no JSON object; write one such as {{"a": 1}} on each line')
        for name, cell in value.items():
            kind = _json_kind(cell)
            if kind and kinds.setdefault(name, kind) != kind:
                raise DataError(
                    f"{path}:{number}: {name!r} is {kind}, and {kinds[name]} in a line before; use one of them"
                )
        objects.append({name: _bounded(cell) for name, cell in value.items()})
    return objects


def _bounded(cell: object) -> object:
    """Return an integer beyond 64 bits as a float, and anything else unchanged."""
    if type(cell) is not int or abs(cell) < 2**63:
        return cell
    return float(str(cell))  # inf beyond the range of float


def _json_kind(cell: object) -> str:
    kinds = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return kinds.get(type(cell), "")


def _with_rows(source: Source, frame: pl.DataFrame) -> Table:
    if not frame.width:
        raise DataError(f"{source.name}: is empty, expected named columns with at least one row")
    if not frame.height:
        raise DataError(f"{source.name}: has no rows, expected at least one")
    return Table(source, frame.columns, frame)
