"""Timing: the measured rounds, their order and their ratios, with a fake clock that each turn advances."""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.timing import MINIMUM_ROUNDS, Ratio, duration, interleave, quantiles


class Clock:
    """Fake clock, with a record of turns and rests."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns: list[str] = []
        self.rests: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.rests.append(seconds)

    def candidate(self, name: str, *seconds: float) -> Callable[[], None]:
        """Return a candidate that takes the given seconds in turn, cyclically."""

        def turn() -> None:
            self.now += seconds[self.turns.count(name) % len(seconds)]
            self.turns.append(name)

        return turn

    def rounds(self, size: int) -> list[list[str]]:
        """Return the names of the candidates in each round, in order."""
        return [self.turns[start : start + size] for start in range(0, len(self.turns), size)]


def test_each_candidate_has_the_seconds_of_its_own_turns() -> None:
    clock = Clock()
    candidates = {"a": clock.candidate("a", 9.0, 9.0, 1.0, 2.0, 3.0), "b": clock.candidate("b", 9.0, 9.0, 4.0)}
    taken = interleave(candidates, 3, warmup=2, clock=clock)
    assert list(taken) == ["a", "b"]
    assert taken["a"] == pytest.approx([1, 2, 3], rel=1e-12)  # differences of sums of float64
    assert taken["b"] == pytest.approx([4, 9, 9], rel=1e-12)
    assert Counter(clock.turns) == {"a": 5, "b": 5}


def test_all_take_part_in_each_round_in_an_order_that_changes() -> None:
    clock = Clock()
    names = "abcde"
    interleave({name: clock.candidate(name, 1.0) for name in names}, 200, warmup=0, clock=clock)
    rounds = clock.rounds(5)
    assert all(sorted(order) == list(names) for order in rounds)
    pairs = Counter(pair for order in rounds for pair in pairwise(order))
    assert len(pairs) == 20  # every ordered pair
    # Each pair 40 times on average, with a standard deviation of 6.
    assert min(pairs.values()) > 0.5 * max(pairs.values())


def test_the_time_limit_ends_the_measurement() -> None:
    clock = Clock()
    taken = interleave({"a": clock.candidate("a", 1.0)}, 100, warmup=2, seconds=10, clock=clock)
    assert len(taken["a"]) == 8  # the warm-up counts towards the time limit


def test_a_minimum_of_rounds_is_measured() -> None:
    clock = Clock()
    assert len(interleave({"a": clock.candidate("a", 99.0)}, 100, seconds=1, clock=clock)["a"]) == MINIMUM_ROUNDS
    assert len(interleave({"a": clock.candidate("a", 99.0)}, 2, seconds=1, clock=clock)["a"]) == 2


def test_a_rest_before_each_turn_is_not_measured() -> None:
    clock = Clock()
    taken = interleave(
        {"a": clock.candidate("a", 1.0), "b": clock.candidate("b", 2.0)},
        3,
        warmup=1,
        rest=0.5,
        clock=clock,
        sleep=clock.sleep,
    )
    assert clock.rests == [0.5] * 8
    assert taken == {"a": [1.0] * 3, "b": [2.0] * 3}


def test_progress_ends_at_one() -> None:
    clock, shares = Clock(), list[float]()
    interleave({"a": clock.candidate("a", 1.0)}, 6, warmup=2, progress=shares.append, clock=clock)
    assert shares == [number / 8 for number in range(1, 9)]
    shares.clear()
    interleave({"a": clock.candidate("a", 1.0)}, 98, warmup=2, seconds=20, progress=shares.append, clock=clock)
    assert shares == [number / 20 for number in range(1, 21)]


def test_garbage_collection_is_disabled_during_the_measurement() -> None:
    enabled = []
    interleave({"a": lambda: enabled.append(gc.isenabled())}, 2, warmup=1)
    assert enabled == [False] * 3
    assert gc.isenabled()

    def fail() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        interleave({"a": fail}, 2)
    assert gc.isenabled()


def test_ratios_are_those_of_each_round() -> None:
    """The machine becomes ten times slower halfway; the ratio is unchanged."""
    first, other = [2.0, 2.0, 20.0, 20.0, 22.0], [1.0, 1.0, 10.0, 10.0, 10.0]
    ratio = Ratio.of(first, other)
    assert (ratio.low, ratio.median, ratio.high) == (2.0, 2.0, 2.0)
    spread = Ratio.of([1.0, 2.0, 3.0, 4.0, 5.0], [1.0] * 5)
    assert (spread.low, spread.median, spread.high) == (2.0, 3.0, 4.0)
    assert str(spread) == "3 (2..4)"


@given(st.lists(st.floats(1e-6, 10), min_size=1, max_size=50), st.floats(0, 1))
def test_quantiles_are_numpys(values: list[float], share: float) -> None:
    (actual,) = quantiles(values, share)
    # Both interpolate linearly between two neighbours, with a few roundings of float64 each.
    assert math.isclose(actual, float(np.quantile(values, share)), rel_tol=1e-9)


def test_durations() -> None:
    assert [duration(seconds) for seconds in (4.71e-5, 0.0123456, 0.999, 0.9996, 65.25)] == [
        "0.0471 ms",
        "12.3 ms",
        "999 ms",
        "1 s",
        "65.2 s",
    ]
