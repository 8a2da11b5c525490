"""A made-up set of short reviews whose sense hangs on the order of the words, so that counting them is not enough.

"The plot was good but the ending was dull" is negative and "the ending was dull but the plot was good" positive, by the
same words: after "but" stands what counts. So it does outside the clause that begins with "although", and a "not" turns
the adjective behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["LABELS", "sentences"]

LABELS = ("negative", "positive")
_NOUNS = ("acting", "camera work", "cast", "dialogue", "ending", "music", "opening", "pace", "plot", "story")
_DEGREES = ("", "", "very ", "really ", "quite ", "rather ")
_ADJECTIVES = (
    ("awful", "bad", "boring", "clumsy", "dull", "feeble", "poor", "silly", "tedious", "weak"),
    ("brilliant", "charming", "clever", "fine", "funny", "good", "gripping", "moving", "strong", "witty"),
)
_FORMS = ("{0}.", "{0}.", "{1} but {0}.", "although {1}, {0}.", "{0}, although {1}.")
"""Clause 0 is what the review means, clause 1 says the opposite."""
_TURNED = 4
"""One clause in so many has a "not"."""
_COUNT = 4000


def sentences() -> tuple[list[str], list[int]]:
    """4,000 different reviews and for each the number of its label, negative and positive in turn."""
    random = np.random.RandomState(0)  # its numbers never change, by NumPy's promise

    def one_of(choices: Sequence[str]) -> str:
        return choices[random.randint(len(choices))]

    def clause(noun: int, positive: int) -> str:
        turned = random.randint(_TURNED) == 0
        adjective = one_of(_ADJECTIVES[1 - positive if turned else positive])
        return f"the {_NOUNS[noun]} was {'not ' if turned else ''}{one_of(_DEGREES)}{adjective}"

    found: dict[str, int] = {}
    while len(found) < _COUNT:
        positive = len(found) % 2
        noun = random.randint(len(_NOUNS))
        other = (noun + random.randint(1, len(_NOUNS))) % len(_NOUNS)
        text = one_of(_FORMS).format(clause(noun, positive), clause(other, 1 - positive))
        found.setdefault(text, positive)
    return list(found), list(found.values())
