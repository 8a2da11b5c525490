"""Readers of the input of ``zoo predict``: texts, from a file or an option, as token ids. Needs no torch."""

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
    """Read a ``.txt`` file in UTF-8 with one text per line.

    Returns:
        For each line its token ids (time,).

    Raises:
        DataError: a line is empty, is not UTF-8, or contains a character outside the vocabulary; the message names file
            and line.
    """
    if path.suffix.lower() != ".txt":
        raise DataError(f"{path}: has the ending {path.suffix!r}, expected .txt with one text per line")
    with open_data(path) as stream:
        lines = enumerate(text_lines(path, stream), 1)
        texts = [text_ids(line.rstrip("\r\n"), signature, f"{path}:{number}") for number, line in lines]
    if not texts:
        raise DataError(f"{path}: is empty, expected one text per line")
    return texts


def text_ids(text: str, signature: Signature, place: str) -> NDArray[np.int64]:
    """Return the token ids (time,) of a text; ``place`` begins the message of an error.

    Raises:
        DataError: the text is empty or contains a character outside the vocabulary.
    """
    tokens = _tokens(text, signature)
    if not tokens:
        raise DataError(f"{place}: is empty, expected a text")
    try:
        return np.array(encode(tokens, signature.ids), np.int64)
    except KeyError as error:
        column = tokens.index(error.args[0]) + 1
        raise DataError(
            f"{place}:{column}: {error.args[0]!r} is not in the vocabulary of the model; replace it or leave it out"
        ) from error


def _tokens(text: str, signature: Signature) -> list[str]:
    """Return the tokens of a text; the vocabulary's mark for a hidden character, such as ``<mask>``, is one token."""
    if signature.tokenizer == "characters" and signature.marks:
        return re.findall("|".join((*map(re.escape, signature.marks), ".")), text, re.DOTALL)
    return TOKENIZERS[signature.tokenizer](text)
