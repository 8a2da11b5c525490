"""The covering sample: every possible pair, and few rows."""

from __future__ import annotations

from itertools import combinations, product

from hypothesis import given
from hypothesis import strategies as st

from zoo.matrix.covering import Pair, Row, cover


def pairs_of(row: Row) -> set[Pair]:
    return {(first, row[first], second, row[second]) for first, second in combinations(range(len(row)), 2)}


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[int], set[Pair]]:
    """Draw the sizes of a few small dimensions, and forbidden pairs."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    pairs = sorted(set().union(*(pairs_of(row) for row in product(*map(range, sizes)))))
    return sizes, draw(st.sets(st.sampled_from(pairs), max_size=len(pairs)))


@given(problems())
def test_every_possible_pair_occurs(problem: tuple[list[int], set[Pair]]) -> None:
    """Compared with all possible rows: those without a forbidden pair contain the pairs that must be covered."""
    sizes, forbidden = problem
    whole = [row for row in product(*map(range, sizes)) if not pairs_of(row) & forbidden]
    rows = cover(sizes, lambda pair: pair not in forbidden)
    assert set(rows) <= set(whole)
    assert len(set(rows)) == len(rows)
    assert set().union(*map(pairs_of, rows)) == set().union(*map(pairs_of, whole))
    assert rows == cover(sizes, lambda pair: pair not in forbidden)


def test_few_rows() -> None:
    """At least as many as the two largest dimensions have pairs, and few more."""
    sizes = [10, 7, 5, 4, 3, 3, 2, 2, 2]
    assert 70 <= len(cover(sizes)) <= 80
