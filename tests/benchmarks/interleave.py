"""Fair timing on a machine that others use too: the two sides take turns, and medians are compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """Seconds of two sides, and how many times the first takes what the second takes."""

    first: float
    second: float
    ratio: float
    """Median of the ratios of neighbouring runs: drift of the machine falls out."""
    low: float
    high: float
    """The quarter and three-quarter points of those ratios."""

    def __str__(self) -> str:
        return f"{self.ratio:7.3f}  ({self.low:.3f} to {self.high:.3f})   {_time(self.first)} / {_time(self.second)}"


def compare(first: Callable[[], object], second: Callable[[], object], rounds: int, warmup: int = 1) -> Ratio:
    """Time two functions in turn. Every other round the second goes first."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(warmup + rounds):
        order = ((0, first), (1, second)) if number % 2 else ((1, second), (0, first))
        for side, function in order:
            began = time.perf_counter()
            function()
            if number >= warmup:
                times[side].append(time.perf_counter() - began)
    ratios = [a / b for a, b in zip(*times, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return Ratio(statistics.median(times[0]), statistics.median(times[1]), middle, low, high)


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"
