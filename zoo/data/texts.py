"""Readers of the input of ``zoo predict``: texts from a file or the standard input, as token ids. Needs no torch."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.csvfile import text_lines
from zoo.data.datafile import open_data
from zoo.data.signature import Signature, TextForm
from zoo.data.tables.read import read_table
from zoo.data.text_ids import text_ids
from zoo.errors import DataError

STANDARD_INPUT = Path("-")


def read_texts(path: Path, signature: Signature) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield the token ids (time,) of each text of a file after its place, such as ``x.txt:3``.

    Args:
        path: a ``.txt`` file in UTF-8 with one text per line; `STANDARD_INPUT` for such lines; or a table that has the
            column of texts of the training, in any format of `zoo.data.tables`.
        signature: of the model.

    Raises:
        DataError: a text is empty, is not UTF-8, or contains a character outside the vocabulary; or the table has no
            such column. The message names file and line.
    """
    if path == STANDARD_INPUT:
        yield from _lines(Path("standard input"), sys.stdin.buffer, signature)
    elif path.suffix.lower() == ".txt":
        with open_data(path) as stream:
            yield from _lines(path, stream, signature)
    else:
        yield from _rows(path, signature)


def _lines(path: Path, stream: Iterable[bytes], signature: Signature) -> Iterator[tuple[str, NDArray[np.int64]]]:
    place = None
    for number, line in enumerate(text_lines(path, stream), 1):
        place = f"{path}:{number}"
        yield place, text_ids(line.rstrip("\r\n"), signature, place)
    if place is None:
        raise DataError(f"{path}: is empty, expected one text per line")


def _rows(path: Path, signature: Signature) -> Iterator[tuple[str, NDArray[np.int64]]]:
    form = signature.text or TextForm()
    table = read_table(path, form.dialect)
    table.require(form.column, "text")
    for row, text in enumerate(table.texts(form.column)):
        yield table.place(row), text_ids(text or "", signature, table.place(row, form.column))
