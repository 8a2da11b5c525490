"""Covering sample: few rows in which every pair of values of every two dimensions occurs.

Faults of programs mostly need one or two settings to come together (Kuhn, Wallace and Gallo 2004, "Software fault
interactions and implications for software testing", IEEE TSE 30), so pairs find most of what all combinations find.
The rows are built greedily, one at a time, after AETG (Cohen et al. 1997, IEEE TSE 23), but without its random draws:
the same dimensions give the same rows. PyPI has allpairspy for this, which is no longer maintained; these 30 lines cost
less than a dependency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations, product

Row = tuple[int, ...]
"""Index of a value of each dimension."""
Pair = tuple[int, int, int, int]
"""A dimension and its value, a later dimension and its value."""


def cover(sizes: Sequence[int], allowed: Callable[[Pair], bool] = lambda _: True) -> list[Row]:
    """Return rows that contain every pair of values that occurs in any row without a forbidden pair.

    Among values that cover equally many missing pairs, the least used one is taken, then the first one.

    Args:
        sizes: number of values of each dimension, at least two dimensions.
        allowed: whether the two values may occur in one row.
    """
    pairs = [
        (dimension, value, later, other)
        for dimension, later in combinations(range(len(sizes)), 2)
        for value, other in product(range(sizes[dimension]), range(sizes[later]))
    ]
    permitted = {pair for pair in pairs if allowed(pair)}
    missing = dict.fromkeys(pair for pair in pairs if pair in permitted)  # a set that keeps its order
    used: Counter[tuple[int, int]] = Counter()
    rows = []

    def complete(values: dict[int, int]) -> Row | None:
        """Return a whole row with the given values of some dimensions; None where no row is permitted."""
        free = next((dimension for dimension in range(len(sizes)) if dimension not in values), None)
        if free is None:
            return tuple(values[dimension] for dimension in range(len(sizes)))
        options = [{**values, free: value} for value in range(sizes[free])]
        options.sort(key=lambda option: (-sum(pair in missing for pair in _pairs(option)), used[free, option[free]]))
        completed = (complete(option) for option in options if permitted.issuperset(_pairs(option)))
        return next((row for row in completed if row is not None), None)

    while missing:
        dimension, value, later, other = next(iter(missing))
        row = complete({dimension: value, later: other})
        if row is None:
            del missing[dimension, value, later, other]
            continue
        rows.append(row)
        used.update(enumerate(row))
        for pair in _pairs(dict(enumerate(row))):
            missing.pop(pair, None)
    return rows


def _pairs(values: dict[int, int]) -> list[Pair]:
    return [(first, values[first], second, values[second]) for first, second in combinations(sorted(values), 2)]
