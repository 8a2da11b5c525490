"""Tokenisers and vocabularies: text to tokens, tokens to ids. Needs no torch.

- ``words2``: Unicode words, numbers, emoji and signs, see `zoo.data.words2`.
- ``words``, of earlier versions: lower case; a word is a run of letters and digits, with apostrophes inside; every
  other visible character is a token of its own. White space separates tokens and is dropped.
- ``characters``: every character is a token, unchanged.

The tokens of ``subwords`` come from a tokeniser of its own, see `zoo.data.subwords`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from zoo.data.words2 import words2

PADDING, UNKNOWN = "<pad>", "<unk>"
"""The first two entries of a vocabulary of words."""

_WORD = re.compile(r"\w+(?:'\w+)*|[^\w\s]")


def words(text: str) -> list[str]:
    """Return the tokens of a text by the rule ``words``: in lower case, words and single signs.

    Args:
        text: any text.
    """
    return _WORD.findall(text.lower())


TOKENIZERS: Mapping[str, Callable[[str], list[str]]] = {"words": words, "words2": words2, "characters": list}
"""The tokenisers that need no data, by name, as in ``Signature.tokenizer``."""


def vocabulary(texts: Iterable[Sequence[str]], min_count: int, max_size: int) -> tuple[str, ...]:
    """Return the vocabulary of some texts: padding, unknown, then the tokens by falling frequency.

    Args:
        texts: the tokens of each text.
        min_count: smallest number of occurrences of a token that the vocabulary contains.
        max_size: largest number of entries, the first two included. Tokens of equal frequency are taken in alphabetical
            order.
    """
    counts = Counter(token for text in texts for token in text)
    frequent = sorted((-count, token) for token, count in counts.items() if count >= min_count)
    return (PADDING, UNKNOWN, *(token for _, token in frequent[: max_size - 2]))


def encode(tokens: Sequence[str], ids: Mapping[str, int]) -> list[int]:
    """Return the id of each token; for a token outside the vocabulary, the id of `UNKNOWN`.

    Args:
        tokens: the tokens of a text.
        ids: the vocabulary, from token to id.

    Raises:
        KeyError: a token is outside a vocabulary without `UNKNOWN`; its argument is the token.
    """
    unknown = ids.get(UNKNOWN)
    return [ids[token] if unknown is None else ids.get(token, unknown) for token in tokens]
