"""Two functions timed in turn, and the printed form of the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from zoo.timing import Ratio, duration, interleave


@dataclass(frozen=True)
class Result:
    """Median seconds of two functions, and the ratio of the first to the second."""

    first: float
    second: float
    ratio: Ratio

    def __str__(self) -> str:
        times = f"{duration(self.first)} / {duration(self.second)}"
        return f"{self.ratio.median:7.3f}  ({self.ratio.low:.3f} to {self.ratio.high:.3f})   {times}"


def compare(first: Callable[[], object], second: Callable[[], object], rounds: int, warmup: int = 1) -> Result:
    """Time two functions in turn."""
    taken = interleave({"first": first, "second": second}, rounds, warmup=warmup)
    return Result(median(taken["first"]), median(taken["second"]), Ratio.of(taken["first"], taken["second"]))
