"""Texts from a user's own file, for a model to answer about. Needs no torch."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.csvfile import text_lines
from zoo.data.datafile import open_data
from zoo.data.signature import Signature
from zoo.data.tokens import TOKENIZERS, encode
from zoo.errors import DataError


def read_texts(path: Path, signature: Signature) -> list[NDArray[np.int64]]:
    """Read a ``.txt`` file, UTF-8, one text a line.

    Returns:
        For each line the ids (time,) of its tokens.

    Raises:
        DataError: with file and line, where a line is empty, is not UTF-8, or holds a character that the model does not
            know.
    """
    if path.suffix.lower() != ".txt":
        raise DataError(f"{path}: has the ending {path.suffix!r}, expected .txt with one text a line")
    with open_data(path) as stream:
        lines = enumerate(text_lines(path, stream), 1)
        texts = [text_ids(line.rstrip("\r\n"), signature, f"{path}:{number}") for number, line in lines]
    if not texts:
        raise DataError(f"{path}: is empty, expected one text a line")
    return texts


def text_ids(text: str, signature: Signature, place: str) -> NDArray[np.int64]:
    """The ids (time,) of a text's tokens; ``place`` is named in errors.

    Raises:
        DataError: where the text is empty, or holds a character that the model does not know.
    """
    tokens = _tokens(text, signature)
    if not tokens:
        raise DataError(f"{place}: is empty, expected a text")
    try:
        return np.array(encode(tokens, signature.ids), np.int64)
    except KeyError as error:
        column = tokens.index(error.args[0]) + 1
        raise DataError(
            f"{place}:{column}: the model does not know {error.args[0]!r}; it was not in the text that it learnt from"
        ) from error


def _tokens(text: str, signature: Signature) -> list[str]:
    """The tokens of a text. A model of hidden characters has a token for them, which stands in a text as it is."""
    if signature.tokenizer == "characters" and signature.marks:
        return re.findall("|".join((*map(re.escape, signature.marks), ".")), text, re.DOTALL)
    return TOKENIZERS[signature.tokenizer](text)
