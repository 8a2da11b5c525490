"""How text becomes tokens, and tokens numbers. Needs no torch.

- ``words``: lower case; a word is a run of letters and digits, an apostrophe within it included; every other visible
  character is a token of its own. White space separates and is dropped.
- ``characters``: every character is a token, as it stands.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

PADDING, UNKNOWN = "<pad>", "<unk>"
"""The first two entries of a vocabulary of words."""

_WORD = re.compile(r"\w+(?:'\w+)*|[^\w\s]")


def words(text: str) -> list[str]:
    """The tokens of a text by the rule ``words``."""
    return _WORD.findall(text.lower())


TOKENIZERS: Mapping[str, Callable[[str], list[str]]] = {"words": words, "characters": list}
"""By the names that a signature has for them."""


def vocabulary(texts: Iterable[Sequence[str]], min_count: int, max_size: int) -> tuple[str, ...]:
    """Padding, unknown, then the most frequent tokens, at most ``max_size`` in all; ties in the alphabet's order."""
    counts = Counter(token for text in texts for token in text)
    frequent = sorted((-count, token) for token, count in counts.items() if count >= min_count)
    return (PADDING, UNKNOWN, *(token for _, token in frequent[: max_size - 2]))


def encode(tokens: Sequence[str], ids: Mapping[str, int]) -> list[int]:
    """The id of each token, that of `UNKNOWN` for one that the vocabulary does not have.

    Raises:
        KeyError: with the token, where the vocabulary has no `UNKNOWN` either.
    """
    unknown = ids.get(UNKNOWN)
    return [ids[token] if unknown is None else ids.get(token, unknown) for token in tokens]
