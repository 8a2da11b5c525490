"""Texts to token ids, by the tokeniser and the vocabulary of a signature. Needs no torch."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from zoo.data.signature import Signature
from zoo.data.subwords import Subwords
from zoo.data.tokens import TOKENIZERS, encode
from zoo.errors import DataError


def text_ids(text: str, signature: Signature, place: str) -> NDArray[np.int64]:
    """Return the token ids (time,) of a text; ``place`` begins the message of an error.

    Raises:
        DataError: the text is empty or contains a character outside the vocabulary, or the tokeniser's package is not
            installed.
    """
    if signature.tokenizer == "subwords":
        return _subword_ids(text, signature, place)
    tokens = _tokens(text, signature)
    if not tokens:
        raise _empty(text, place)
    try:
        return np.array(encode(tokens, signature.ids), np.int64)
    except KeyError as error:
        column = tokens.index(error.args[0]) + 1
        raise DataError(
            f"{place}:{column}: {error.args[0]!r} is not in the vocabulary of the model; replace it or leave it out"
        ) from error


def _subword_ids(text: str, signature: Signature, place: str) -> NDArray[np.int64]:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{place}: has {text[error.start]!a}, which is half a character; replace it") from error
    assert signature.subwords is not None
    (ids,) = Subwords(signature.subwords).ids([text])
    if not ids:
        raise _empty(text, place)
    return np.array(ids, np.int64)


def _tokens(text: str, signature: Signature) -> list[str]:
    """Return the tokens of a text; the vocabulary's mark for a hidden character, such as ``<mask>``, is one token."""
    if signature.tokenizer == "characters" and signature.marks and signature.text is None:
        return re.findall("|".join((*map(re.escape, signature.marks), ".")), text, re.DOTALL)
    return TOKENIZERS[signature.tokenizer](text)


def _empty(text: str, place: str) -> DataError:
    """Return the error for a text without tokens."""
    what = "has no visible character" if text.strip() else "is empty"
    return DataError(f"{place}: {what}, expected a text")
