"""A covering sample: few rows in which every pair of values of every two dimensions occurs.

Faults of programs mostly need one or two settings to come together (Kuhn, Wallace and Gallo 2004, "Software fault
interactions and implications for software testing", IEEE TSE 30), so pairs find most of what all combinations find.
The rows are made greedily, one at a time, after AETG (Cohen et al. 1997, IEEE TSE 23), but without its random draws:
the same dimensions give the same rows. PyPI has allpairspy for this, which is not kept up; these 30 lines are less
trouble than a dependency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations, product

Row = tuple[int, ...]
"""A value of each dimension, by its number."""
Pair = tuple[int, int, int, int]
"""A dimension and its value, a later dimension and its value."""


def cover(sizes: Sequence[int], allowed: Callable[[Pair], bool] = lambda _: True) -> list[Row]:
    """Rows that hold every pair of values which any row without a forbidden pair can hold.

    Args:
        sizes: how many values each dimension has, at least two dimensions. Of values that cover as much, the one that
            has been taken the fewest times is taken, and of several the first.
        allowed: whether two values may stand in one row.
    """
    pairs = [
        (one, first, other, second)
        for one, other in combinations(range(len(sizes)), 2)
        for first, second in product(range(sizes[one]), range(sizes[other]))
    ]
    fine = {pair for pair in pairs if allowed(pair)}
    missing = dict.fromkeys(pair for pair in pairs if pair in fine)  # a set that keeps its order
    used: Counter[tuple[int, int]] = Counter()
    rows = []

    def complete(known: dict[int, int]) -> Row | None:
        """A whole row with the known values, or None where there is none."""
        free = next((dimension for dimension in range(len(sizes)) if dimension not in known), None)
        if free is None:
            return tuple(known[dimension] for dimension in range(len(sizes)))
        tried = [{**known, free: value} for value in range(sizes[free])]
        tried.sort(key=lambda one: (-sum(pair in missing for pair in _pairs(one)), used[free, one[free]]))
        fitting = (complete(one) for one in tried if fine.issuperset(_pairs(one)))
        return next((row for row in fitting if row is not None), None)

    while missing:
        one, first, other, second = next(iter(missing))
        row = complete({one: first, other: second})
        if row is None:
            del missing[one, first, other, second]
            continue
        rows.append(row)
        used.update(enumerate(row))
        for pair in _pairs(dict(enumerate(row))):
            missing.pop(pair, None)
    return rows


def _pairs(values: dict[int, int]) -> list[Pair]:
    return [(one, values[one], other, values[other]) for one, other in combinations(sorted(values), 2)]
