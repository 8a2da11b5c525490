"""Fair timing on a shared machine: candidates take turns, and ratios are formed within each round."""

from __future__ import annotations

import gc
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self, TypeVar

K = TypeVar("K")

WARMUP = 10
"""Unmeasured rounds at the start. On a new shape ONNX Runtime's arena grows and torch selects kernels. With an LSTM of
hidden size 128, batch 32 and 32 steps, run 1 took 2.6 times as long as later ones; ONNX Runtime's own operator was
steady from run 3, the graph of 32 unrolled steps had its 3,000 buffers after run 8."""
MINIMUM_ROUNDS = 5
"""Measured rounds even when the time limit is exceeded."""


@dataclass(frozen=True)
class Ratio:
    """Time of one candidate relative to another."""

    median: float
    """Median of the ratios within each round, in which a drift of the machine's speed cancels."""
    low: float
    """First quartile of these ratios."""
    high: float
    """Third quartile of these ratios."""

    @classmethod
    def of(cls, seconds: Sequence[float], others: Sequence[float]) -> Self:
        """Return the ratio of two candidates, given the seconds of both in the same rounds."""
        ratios = [numerator / denominator for numerator, denominator in zip(seconds, others, strict=True)]
        low, median, high = quantiles(ratios, 0.25, 0.5, 0.75)
        return cls(median, low, high)

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g}..{self.high:.3g})"


def quantiles(values: Sequence[float], *shares: float) -> list[float]:
    """Return the quantiles at the given shares, from 0 to 1, with linear interpolation between neighbours."""
    ordered = sorted(values)
    results = []
    for share in shares:
        below, part = divmod(share * (len(ordered) - 1), 1)
        low, high = ordered[int(below)], ordered[math.ceil(below + part)]
        results.append(low + part * (high - low))
    return results


def duration(seconds: float) -> str:
    """Return a time as text, such as 0.0471 ms, 312 ms or 1.05 s."""
    return f"{1e3 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def interleave(
    candidates: Mapping[K, Callable[[], object]],
    rounds: int,
    *,
    warmup: int = WARMUP,
    seconds: float = math.inf,
    rest: float = 0.0,
    progress: Callable[[float], None] = lambda _: None,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[K, list[float]]:
    """Time functions that take turns, in a new random order each round, with garbage collection disabled.

    The random order spreads the after-effects of a candidate, such as the content of the processor's caches, evenly
    over the others.

    Args:
        candidates: functions by name.
        rounds: maximum number of measured rounds.
        warmup: number of unmeasured rounds at the start.
        seconds: time limit; no round starts after it once `MINIMUM_ROUNDS` are measured. The warm-up counts.
        rest: seconds to wait before each turn, while threads of the previous candidate may still be spinning.
        progress: called after each round with the finished share of the work, from 0 to 1.
        clock: returns the current time in seconds.
        sleep: waits for the given number of seconds.

    Returns:
        For each candidate its seconds in each round, in order; the same number for all.
    """
    order, generator = list(candidates), random.Random(0)  # noqa: S311  (chance, not secrets)
    times: dict[K, list[float]] = {key: [] for key in order}
    with _no_garbage_collection():
        began = clock()
        for number in range(-warmup, rounds):
            if number >= min(rounds, MINIMUM_ROUNDS) and clock() - began >= seconds:
                break
            generator.shuffle(order)
            for key in order:
                if rest:
                    sleep(rest)
                start = clock()
                candidates[key]()
                end = clock()
                if number >= 0:
                    times[key].append(end - start)
            progress(max((number + 1 + warmup) / (rounds + warmup), min(1.0, (clock() - began) / seconds)))
    return times


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Collect garbage, then disable the collector, which would otherwise run during an arbitrary candidate."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
