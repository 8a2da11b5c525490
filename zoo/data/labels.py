"""Order of the names of classes and categories. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from zoo.data.csvfile import cell_number


def sorted_labels(names: Iterable[str]) -> tuple[str, ...]:
    """Return the different names in order: finite numbers by size, equal ones such as 1 and 01 by spelling; then words.

    The order is the same each time, whatever the order of ``names``; ``nan`` and ``inf`` are words.

    Args:
        names: names of classes or categories, in any order, also repeated.
    """

    def key(name: str) -> tuple[bool, float, str]:
        number = cell_number(name)
        return (True, 0.0, name) if number is None or not isfinite(number) else (False, number, name)

    return tuple(sorted(set(names), key=key))
