"""Statistics of features and targets of a data set, part by part, a few sequences at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.data.dataset import Dataset, Split
from zoo.data.signature import Scale

PARTS = ("train", "validation", "test")
"""Names of the parts, which are also the attributes of `zoo.Dataset`."""
CHUNK = 250_000
"""Numbers that are in memory in float64 at once."""
BINS = 20
"""Bins of a histogram."""

Wide = NDArray[np.float64]
Values = Callable[[Split], NDArray[Any]]
"""Returns the values (steps, columns) of some sequences."""


@dataclass(frozen=True)
class Numbers:
    """Statistics of the numbers of a column in one part; NaN where there is no number."""

    count: int
    """Numbers: one for each step of each sequence that has one. A row of a series counts in each of its windows."""
    missing: int
    """Values that are NaN or infinite."""
    mean: float
    deviation: float
    """Standard deviation: the root of the mean squared distance from the mean."""
    minimum: float
    maximum: float
    zeros: float
    """Share of the numbers that are 0."""
    outside: float
    """Share of the numbers below the least or above the greatest of the training part."""
    histogram: tuple[int, ...]
    """Numbers in each bin; see `Column.edges`."""


@dataclass(frozen=True)
class Column:
    """A feature or a target."""

    name: str
    kind: Literal["number", "category"]
    offset: float | None = None
    """What the network subtracts from a number before it divides by ``factor``; None where it is unscaled."""
    factor: float | None = None
    parts: Mapping[str, Numbers] = field(default_factory=dict)
    """The numbers of each part; empty for categories."""
    edges: tuple[float, ...] = ()
    """Edges of the bins of the histograms, the same for all parts; empty for categories."""
    categories: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """For each category the number of steps that have it, by part; empty for numbers."""
    unknown: Mapping[str, int] = field(default_factory=dict)
    """Steps of each part whose value is no category of the training part; empty for numbers."""

    @property
    def constant(self) -> bool:
        """Whether the training part has only one value."""
        if self.kind == "category":
            return sum(counts["train"] > 0 for counts in self.categories.values()) + (self.unknown["train"] > 0) < 2
        return self.parts["train"].minimum == self.parts["train"].maximum


def chunks(part: Split) -> Iterator[Split]:
    """Yield a part in pieces of at most `CHUNK` numbers, or of a single sequence."""
    most = max(part.x.shape[1:].numel(), part.y.shape[1:].numel(), 1)
    each = max(1, CHUNK // most)
    for start in range(0, len(part), each):
        yield part.take(slice(start, start + each))


def steps_of(batch: Split) -> NDArray[Any]:
    """Return the inputs of all valid steps: (steps, features), or (steps,) token ids."""
    x: NDArray[Any] = batch.x.numpy()
    if batch.lengths is None:
        return x.reshape(-1, *x.shape[2:])
    valid: NDArray[Any] = x[np.arange(x.shape[1]) < batch.lengths.numpy()[:, None]]
    return valid


def targets_of(batch: Split) -> NDArray[Any]:
    """Return the targets of all sequences and steps: (steps, targets)."""
    y: NDArray[Any] = batch.y.numpy()
    return y.reshape(-1, y.shape[-1])


def number_columns(
    data: Dataset, values: Values, names: tuple[str, ...], scale: Scale | None, tick: Callable[[], None]
) -> list[Column]:
    """Return the statistics of columns of numbers.

    Args:
        data: the data set.
        values: returns the columns of some sequences: `steps_of` or `targets_of`.
        names: of the columns.
        scale: that of the network; None where it has none.
        tick: called after each chunk.
    """
    sums = {part: _Sums.of(map(values, _ticking(data, part, tick)), len(names)) for part in PARTS}
    low = np.minimum.reduce([each.low for each in sums.values()])
    high = np.maximum.reduce([each.high for each in sums.values()])
    flat = ~(high > low)
    low, high = np.where(flat, low - 0.5, low), np.where(flat, high + 0.5, high)
    bins = {part: _Bins.of(map(values, _ticking(data, part, tick)), low, high, sums["train"]) for part in PARTS}
    edges = np.linspace(np.nan_to_num(low, posinf=0), np.nan_to_num(high, neginf=1), BINS + 1).T
    columns = []
    for index, name in enumerate(names):
        parts = {part: sums[part].numbers(index, bins[part]) for part in PARTS}
        columns.append(
            Column(
                name,
                "number",
                offset=None if scale is None else scale.offset[index],
                factor=None if scale is None else scale.factor[index],
                parts=parts,
                edges=tuple(edges[index].tolist()),
            )
        )
    return columns


def category_columns(
    data: Dataset, features: Mapping[int, tuple[str, ...]], names: tuple[str, ...], tick: Callable[[], None]
) -> dict[int, Column]:
    """Return the number of steps of each category, by the index of the feature.

    Args:
        data: the data set.
        features: the names of the categories, by the index of the feature.
        names: of all features.
        tick: called after each chunk.
    """
    counts = {
        part: {index: np.zeros(len(labels) + 1, np.int64) for index, labels in features.items()} for part in PARTS
    }
    for part in PARTS if features else ():
        for batch in _ticking(data, part, tick):
            steps = steps_of(batch)
            for index, total in counts[part].items():
                total += np.bincount(steps[:, index].astype(np.int64), minlength=len(total))
    return {
        index: Column(
            names[index],
            "category",
            categories={
                label: {part: int(counts[part][index][number]) for part in PARTS}
                for number, label in enumerate(labels, 1)
            },
            unknown={part: int(counts[part][index][0]) for part in PARTS},
        )
        for index, labels in features.items()
    }


def _ticking(data: Dataset, part: str, tick: Callable[[], None]) -> Iterator[Split]:
    for batch in chunks(getattr(data, part)):
        yield batch
        tick()


@dataclass
class _Sums:
    """Sums over the rows of a part, by column. Means of chunks are combined by Chan, Golub and LeVeque (1983)."""

    count: NDArray[np.int64]
    missing: NDArray[np.int64]
    mean: Wide
    squares: Wide
    """Sum of the squared distances from the mean."""
    low: Wide
    high: Wide
    zeros: NDArray[np.int64]

    @classmethod
    def of(cls, batches: Iterable[NDArray[Any]], columns: int) -> _Sums:
        total = cls(
            count=np.zeros(columns, np.int64),
            missing=np.zeros(columns, np.int64),
            mean=np.zeros(columns),
            squares=np.zeros(columns),
            low=np.full(columns, np.inf),
            high=np.full(columns, -np.inf),
            zeros=np.zeros(columns, np.int64),
        )
        for rows in batches:
            total.add(_wide(rows))
        return total

    def add(self, columns: Wide) -> None:
        valid = np.isfinite(columns)
        where: Any = True if valid.all() else valid
        count = valid.sum(1)
        mean = columns.sum(1, where=where) / np.maximum(count, 1)
        distances = columns - mean[:, None]
        squares = np.square(distances, out=distances).sum(1, where=where)
        total = np.maximum(self.count + count, 1)
        distance = mean - self.mean
        self.squares += squares + distance**2 * (self.count * count / total)
        self.mean += distance * (count / total)
        self.count += count
        self.missing += columns.shape[1] - count
        self.low = np.minimum(self.low, columns.min(1, initial=np.inf, where=where))
        self.high = np.maximum(self.high, columns.max(1, initial=-np.inf, where=where))
        self.zeros += np.count_nonzero(columns == 0, axis=1)

    def numbers(self, index: int, bins: _Bins) -> Numbers:
        count = int(self.count[index])

        def share(value: float) -> float:
            return float(value) / count if count else float("nan")

        return Numbers(
            count,
            int(self.missing[index]),
            mean=float(self.mean[index]) if count else float("nan"),
            deviation=share(self.squares[index]) ** 0.5,
            minimum=float(self.low[index]) if count else float("nan"),
            maximum=float(self.high[index]) if count else float("nan"),
            zeros=share(self.zeros[index]),
            outside=share(bins.outside[index]),
            histogram=tuple(bins.counts[index].tolist()),
        )


@dataclass
class _Bins:
    """Histograms of a part, by column."""

    counts: NDArray[np.int64]
    outside: NDArray[np.int64]
    """Numbers outside the range of the training part."""

    @classmethod
    def of(cls, batches: Iterable[NDArray[Any]], low: Wide, high: Wide, train: _Sums) -> _Bins:
        total = cls(np.zeros((len(low), BINS), np.int64), np.zeros(len(low), np.int64))
        for rows in batches:
            columns = _wide(rows)
            valid = np.isfinite(columns)
            outside = valid & ((columns < train.low[:, None]) | (columns > train.high[:, None]))
            total.outside += np.count_nonzero(outside, axis=1)
            # Halved, since the distance of two numbers may be more than float64 can hold.
            with np.errstate(invalid="ignore"):  # a column without a number has infinite ends
                places = (columns / 2 - low[:, None] / 2) * (BINS / (high / 2 - low / 2))[:, None]
            bins = np.minimum(np.where(valid, places, 0).astype(np.int64), BINS - 1)
            bins += np.arange(len(low))[:, None] * BINS
            total.counts += np.bincount(bins[valid], minlength=total.counts.size).reshape(-1, BINS)
        return total


def _wide(rows: NDArray[Any]) -> Wide:
    """Return rows (n, columns) as columns (columns, n) in float64, along which sums are fast."""
    return np.ascontiguousarray(rows.T, np.float64)
