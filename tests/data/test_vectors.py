"""Readers of vectors of words: the forms of word2vec and GloVe, and files that are neither."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.data.common import error_of
from zoo.data.vectors import read_vectors

IDS = {"<pad>": 0, "<unk>": 1, "the": 2, "café": 3, ".": 4, "absent": 5}
LINES = ["other 9 9 9", "the 0.5 -1 2e-3", "café 1 2 3"]
SAME = {
    "GloVe": "\n".join(LINES),
    "word2vec": "3 3\n" + "\n".join(LINES) + "\n",
    "a space at the end of each line": "3 3\n" + " \n".join(LINES) + " \n",
    "Windows line ends": "\r\n".join(LINES) + "\r\n",
    "a byte order mark": "\ufeff" + "\n".join(reversed(LINES)),
    "empty lines": "\n".join(LINES) + "\n\n\n",
    "a word twice": "\n".join([*LINES, "the 7 7 7"]),
    "a word with spaces": "\n".join([*LINES, ". . . 1 2 3", "to the the 4 5 6"]),
    "numbers as words": "\n".join([*LINES, "1 2 3 4", "2019 1 2 3"]),
    "a faulty number of another word": "\n".join([*LINES, "more 1 2 x"]),
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME.keys())
def test_the_vectors_of_the_vocabulary_are_read(tmp_path: Path, content: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(content.encode())
    tokens, values = read_vectors(path, IDS, 3)
    assert tokens.tolist() == [2, 3]
    assert values.dtype == np.float32
    assert values.tolist() == np.array([[0.5, -1, 2e-3], [1, 2, 3]], np.float32).tolist()


def test_words_that_are_not_utf8_are_other_words(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(b"caf\xe9 1 2 3\nthe 1 2 3\n")
    assert read_vectors(path, IDS, 3)[0].tolist() == [2]


BAD = {
    "nothing": ("", ": has vectors for none of the 6 tokens of the vocabulary; give vectors of words in the language"),
    "other words": ("le 1 2 3\n", ": has vectors for none of the 6 tokens of the vocabulary"),
    "another width": ("a 1 2\nb 1 2\n", ":1: the vectors have 2 numbers, and encoder.size is 3; set encoder.size to 2"),
    "a wider width": ("the 1 2 3 4\n", ":1: the vectors have 4 numbers, and encoder.size is 3; set encoder.size to 4"),
    "another width in the header": ("9 300\nthe 1 2 3\n", ":1: the vectors have 300 numbers, and encoder.size is 3"),
    "no vectors": ("the cat sat\n", ":1: is not a word with its numbers, separated by spaces; give vectors in the"),
    "word2vec's binary form": (b"3 3\nthe \x00\x01\x80\xff\n", ":2: numbers after its word: 1, expected 3"),
    "a line cut off": ("a 1 2 3\nthe 1 2", ":2: numbers after its word: 2, expected 3; the file may be cut off"),
    "a longer line": ("a 1 2 3\nthe 1 2 3 4\n", ":2: numbers after its word: 4, expected 3"),
    "no number": ("a 1 2 3\nthe 1 x 3\n", ":2: 'x' is not a number; correct the line"),
    "two spaces": ("a 1 2 3\nthe 1  3\n", ":2: '' is not a number; correct the line"),
    "not finite": ("a 1 2 3\nthe 1 nan 3\n", ":2: has a number that float32 cannot hold; correct the line"),
    "too large": ("a 1 2 3\nthe 1 1e39 3\n", ":2: has a number that float32 cannot hold; correct the line"),
}


@pytest.mark.parametrize(("content", "expected"), BAD.values(), ids=BAD.keys())
def test_bad_files(tmp_path: Path, content: str | bytes, expected: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert error_of(lambda: read_vectors(path, IDS, 3)).startswith(f"{path}{expected}")


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    assert error_of(lambda: read_vectors(path, IDS, 3)) == f"{path}: there is no such file; correct the path"
