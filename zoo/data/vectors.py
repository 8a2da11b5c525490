"""Reader of vectors of words in the text form of word2vec, GloVe and fastText. Needs no torch."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from zoo.data.datafile import open_data
from zoo.errors import DataError

LONGEST = 1_000_000
"""Largest number of bytes of a line."""


def read_vectors(path: Path, ids: Mapping[str, int], size: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Read the vectors of the words of a vocabulary, line by line; no others are kept.

    A line holds a word and its numbers, separated by spaces. The first line may instead hold the number of words and
    the width, as in word2vec's files. A word may contain spaces, as some of GloVe's do. Of a word that occurs twice the
    first vector is taken.

    Args:
        path: the file, in UTF-8.
        ids: the vocabulary, from word to id. Words are compared exactly.
        size: width of a vector.

    Returns:
        The ids (words,) that have a vector, ascending, and their vectors (words, size).

    Raises:
        DataError: the vectors have another width, a line is not a word with its numbers, a number of the vocabulary's
            words is not finite, or the file has none of the words. The message names file and line.
    """
    wanted = {word.encode(errors="surrogatepass"): number for word, number in ids.items()}
    vectors: dict[int, NDArray[np.float32]] = {}
    with open_data(path) as stream:
        for number, line in _filled_lines(stream):
            place = f"{path}:{number}"
            if number == 1:
                if _is_header(line, size, place):
                    continue
                _check_first(line, size, place)
            end = line.find(b" ") if line.count(b" ") == size else len(_word(line, size, place))
            token = wanted.get(line[:end])
            if token is not None and token not in vectors:
                vectors[token] = _numbers(line[end + 1 :], place)
    if not vectors:
        raise DataError(
            f"{path}: has vectors for none of the {len(ids):,} tokens of the vocabulary; give vectors of words in the "
            "language of the data"
        )
    tokens = sorted(vectors)
    return np.array(tokens, np.int64), np.stack([vectors[token] for token in tokens])


def _filled_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not empty, without their ends, by their numbers from 1."""
    number = 0
    while line := stream.readline(LONGEST):
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if line := line.rstrip(b" \r\n"):
            yield number, line


def _is_header(line: bytes, size: int, place: str) -> bool:
    """Return whether a first line holds the number of words and the width, and check the width."""
    cells = line.split()
    if len(cells) != 2 or not all(cell.isdigit() for cell in cells):
        return False
    _check_width(int(cells[1]), size, place)
    return True


def _check_first(line: bytes, size: int, place: str) -> None:
    """Check the width of the first vector, which distinguishes another width from a word with spaces."""
    cells = line.split(b" ")
    count = 0
    while count < len(cells) - 1 and _is_number(cells[-1 - count]):
        count += 1
    if count == 0:
        raise DataError(
            f"{place}: is not a word with its numbers, separated by spaces; give vectors in the text form of word2vec "
            "or GloVe"
        )
    _check_width(count, size, place)


def _check_width(width: int, size: int, place: str) -> None:
    if width != size:
        raise DataError(
            f"{place}: the vectors have {width:,} numbers, and encoder.size is {size:,}; set encoder.size to {width}"
        )


def _word(line: bytes, size: int, place: str) -> bytes:
    """Return the word of a line whose word contains spaces."""
    parts = line.rsplit(b" ", size)
    if len(parts) <= size or all(map(_is_number, parts[0].split(b" ")[1:])):
        count = line.count(b" ")
        raise DataError(f"{place}: numbers after its word: {count:,}, expected {size:,}; the file may be cut off")
    return parts[0]


def _numbers(cells: bytes, place: str) -> NDArray[np.float32]:
    """Return the numbers of a line (size,)."""
    try:
        with np.errstate(over="ignore"):
            numbers = np.array(cells.split(b" "), np.float64).astype(np.float32)
    except ValueError:
        bad = next(cell for cell in cells.split(b" ") if not _is_number(cell))
        raise DataError(f"{place}: {bad.decode(errors='replace')!r:.40} is not a number; correct the line") from None
    if not np.isfinite(numbers).all():
        raise DataError(f"{place}: has a number that float32 cannot hold; correct the line")
    return numbers


def _is_number(cell: bytes) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
