"""Fair timing on a machine that others use too: the candidates take turns, and each round is compared with itself."""

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
"""Rounds before the first that counts. With a new shape ONNX Runtime's arena grows, and torch's kernels are chosen: in
an LSTM of 128, batch 32, 32 steps, run 1 took 2.6 times the later ones and run 3 was steady for ONNX Runtime's own
operator; the graph of 32 unrolled steps had its 3,000 buffers after run 8."""
MINIMUM_ROUNDS = 5
"""Rounds that are measured even where the seconds are over before."""


@dataclass(frozen=True)
class Ratio:
    """How many times one candidate takes what another takes."""

    median: float
    """Of the ratios within each round: drift of the machine falls out."""
    low: float
    """The quarter point of those ratios."""
    high: float
    """The three-quarter point."""

    @classmethod
    def of(cls, seconds: Sequence[float], others: Sequence[float]) -> Self:
        """That of two candidates that took turns, round by round."""
        ratios = [one / other for one, other in zip(seconds, others, strict=True)]
        low, median, high = quantiles(ratios, 0.25, 0.5, 0.75)
        return cls(median, low, high)

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g}..{self.high:.3g})"


def quantiles(values: Sequence[float], *shares: float) -> list[float]:
    """The values below which these shares of all lie, with a straight line between neighbours."""
    ordered = sorted(values)
    found = []
    for share in shares:
        below, part = divmod(share * (len(ordered) - 1), 1)
        low, high = ordered[int(below)], ordered[math.ceil(below + part)]
        found.append(low + part * (high - low))
    return found


def duration(seconds: float) -> str:
    """A time for people: 0.0471 ms, 312 ms, 1.05 s."""
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
    """Time functions that take turns, in an order that is drawn anew for each round, the collector of garbage at rest.

    What a candidate leaves behind, in the caches of the processor say, so meets each of the others alike.

    Args:
        candidates: by any name.
        rounds: in how many rounds to time each, at most.
        warmup: rounds before, whose times are thrown away.
        seconds: after which to begin no further round, once there have been `MINIMUM_ROUNDS`.
        rest: seconds to wait before each turn, where threads of the candidate before may still be spinning.
        progress: told after each round which share of the work is done, from 0 to 1.
        clock: seconds.
        sleep: waits that many.

    Returns:
        The seconds that each candidate took, in the order of the rounds, as many for each.
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
    """It would run in the middle of whichever candidate has filled the measure."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
