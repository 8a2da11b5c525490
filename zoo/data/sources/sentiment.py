"""Generated short reviews whose sentiment depends on the order of the words, so that word counts do not determine it.

"The plot was good but the ending was dull" is negative and "the ending was dull but the plot was good" is positive,
with the same words: the clause after "but" decides. With "although" the other clause decides, and "not" inverts the
adjective that follows it.
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
"""Templates of a review: clause 0 has the sentiment of the review, clause 1 the opposite one."""
_NEGATED = 4
"""One clause in this many contains "not"."""
_COUNT = 4000


def sentences() -> tuple[list[str], list[int]]:
    """Return 4,000 different reviews and the index of each one's label, negative and positive in turn."""
    random = np.random.RandomState(0)  # NumPy guarantees that its stream never changes

    def choose(choices: Sequence[str]) -> str:
        return choices[random.randint(len(choices))]

    def clause(noun: int, positive: int) -> str:
        negated = random.randint(_NEGATED) == 0
        adjective = choose(_ADJECTIVES[1 - positive if negated else positive])
        return f"the {_NOUNS[noun]} was {'not ' if negated else ''}{choose(_DEGREES)}{adjective}"

    labels: dict[str, int] = {}
    while len(labels) < _COUNT:
        positive = len(labels) % 2
        noun = random.randint(len(_NOUNS))
        other = (noun + random.randint(1, len(_NOUNS))) % len(_NOUNS)
        text = choose(_FORMS).format(clause(noun, positive), clause(other, 1 - positive))
        labels.setdefault(text, positive)
    return list(labels), list(labels.values())
