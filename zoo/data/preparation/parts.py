"""Division of series into parts for training, validation and test: in time within each, or by whole series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from zoo.data.preparation.series import OneSeries
from zoo.errors import DataError

__all__ = ["Divided", "Division", "divide_series"]

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Division:
    """Fields of a spec that divide series into parts."""

    sizes: tuple[int | float, int | float, int | float]
    """Count or share of the rows of each series, or of the series, for each part."""
    window: int
    horizon: int
    split: Literal["time", "groups"] = "time"

    @property
    def least(self) -> tuple[int, int, int]:
        """Smallest number of rows of a series in each part: a training window lies in its part entirely."""
        rows = max(1, self.horizon)
        return (self.window + self.horizon, rows, rows)


@dataclass(frozen=True)
class Divided:
    """A series with the steps of each part, empty where it has none in a part."""

    series: OneSeries
    past: int
    """Number of steps from the first whose targets are in the table."""
    parts: tuple[range, range, range]


def divide_series(series: Sequence[OneSeries], past: Sequence[int], division: Division) -> list[Divided]:
    """Return the series that are long enough, each with the steps of its parts.

    Args:
        series: of one table.
        past: number of steps of each that may be used.
        division: how to divide them. Whole series are assigned in a fixed random order.

    Raises:
        DataError: the parts exceed the rows, or no series has enough rows, or too few series are long enough.
    """
    if division.split == "groups":
        return _whole_series(series, past, division)
    result = []
    for each, rows in zip(series, past, strict=True):
        ends = _ends(division, rows)
        if ends[-1] <= rows and not _too_short(ends, division):
            parts = tuple(range(*part) for part in pairwise(ends))
            result.append(Divided(each, rows, parts))  # type: ignore[arg-type]
    if not result:
        _refuse(series, past, division)
    return result


def _ends(division: Division, count: int) -> list[int]:
    ends, end = [0], 0.0
    for size in division.sizes:
        # Ends are rounded rather than sizes, so that shares that add up to 1 leave no row out. The margin of 1e-9 rows
        # is far above the rounding error of the sum.
        end += size if isinstance(size, int) else size * count
        ends.append(int(end + 1e-9))
    return ends


def _too_short(ends: Sequence[int], division: Division) -> bool:
    lengths = [stop - start for start, stop in pairwise(ends)]
    return any(length < least for length, least in zip(lengths, division.least, strict=True))


def _refuse(series: Sequence[OneSeries], past: Sequence[int], division: Division) -> None:
    """Raise the error for the longest series, none of which fits."""
    longest = int(np.argmax(past))
    rows, ends = past[longest], _ends(division, past[longest])
    where = series[longest].where if len(series) == 1 else f"the longest series, {series[longest].where}"
    lengths = [stop - start for start, stop in pairwise(ends)]
    counts = ", ".join(f"{name} {length:,}" for name, length in zip(PARTS, lengths, strict=True))
    if ends[-1] > rows:
        raise DataError(f"data.train: the parts exceed the {rows:,} rows of {where}: {counts}; lower one of them")
    least = division.least
    raise DataError(
        f"data.window: too few of the {rows:,} rows of {where} for a window in each part: {counts}, expected at least "
        f"{least[0]:,} for train (window {division.window:,}, horizon {division.horizon:,}) and {least[1]:,} for each "
        "other part; lower data.window or data.horizon"
    )


def _whole_series(series: Sequence[OneSeries], past: Sequence[int], division: Division) -> list[Divided]:
    least = division.least[0]
    kept = [(each, rows) for each, rows in zip(series, past, strict=True) if rows >= least]
    ends = _ends(division, len(kept))
    counts = [stop - start for start, stop in pairwise(ends)]
    if min(counts) < 1 or ends[-1] > len(kept):
        listed = ", ".join(f"{name} {count:,}" for name, count in zip(PARTS, counts, strict=True))
        raise DataError(
            f"data.split: {len(kept):,} of the {len(series):,} series of {series[0].table.source} have the {least:,} "
            f"rows of a window and its horizon, and the parts need at least one each: {listed}; change data.train, "
            "data.validation and data.test, or lower data.window"
        )
    order = np.random.RandomState(0).permutation(len(kept))
    part_of = {int(place): number for number, (start, stop) in enumerate(pairwise(ends)) for place in order[start:stop]}
    return [
        Divided(each, rows, tuple(range(rows if part_of[place] == part else 0) for part in range(3)))  # type: ignore[arg-type]
        for place, (each, rows) in enumerate(kept)
        if place in part_of
    ]
