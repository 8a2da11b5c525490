"""Lengths, classes, tokens, repeated sequences and memory of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from zoo.data.dataset import Dataset, Split
from zoo.data.signature import IGNORED, Signature
from zoo.jobs.data_columns import BINS, PARTS, chunks, steps_of


@dataclass(frozen=True)
class Lengths:
    """Steps of the sequences of one part."""

    shortest: int
    median: float
    longest: int
    histogram: tuple[int, ...]
    """Sequences in each bin; see ``DataReport.length_edges``."""


@dataclass(frozen=True)
class Shares:
    """How often each class or token occurs."""

    counts: Mapping[str, Mapping[str, int]]
    """For each class or token its number of sequences, or of steps, by part."""
    totals: Mapping[str, int]
    """Sequences, or steps, of each part; several labels of a sequence count it once."""
    unit: str
    """What is counted: ``sequences`` or ``steps``."""
    exclusive: bool = True
    """Whether each sequence or step has exactly one of them, rather than any number of labels."""

    def share(self, name: str, part: str) -> float:
        """Return the share of the sequences or steps of a part that a class or token has; 0 where there are none."""
        return self.counts[name][part] / max(1, self.totals[part])

    def most_frequent(self, most: int) -> list[str]:
        """Return the names of the classes or tokens that are most frequent in the training part."""
        return sorted(self.counts, key=lambda name: -self.counts[name]["train"])[:most]


def lengths_of(data: Dataset) -> tuple[dict[str, Lengths], tuple[float, ...]]:
    """Return the lengths of each part, and the edges of the bins of their histograms."""
    values = {part: _lengths(getattr(data, part)) for part in PARTS}
    low, high = min(each.min() for each in values.values()), max(each.max() for each in values.values())
    edges = np.linspace(low, high + 1, min(BINS, int(high - low) + 1) + 1)
    lengths = {
        part: Lengths(
            int(each.min()), float(np.median(each)), int(each.max()), tuple(np.histogram(each, edges)[0].tolist())
        )
        for part, each in values.items()
    }
    return lengths, tuple(edges.tolist())


def _lengths(part: Split) -> NDArray[np.int64]:
    if part.lengths is None:
        return np.full(len(part), part.x.shape[1], np.int64)
    lengths: NDArray[np.int64] = part.lengths.numpy()
    return lengths


def classes_of(data: Dataset) -> Shares | None:
    """Return the classes or labels of the targets; None where the targets are numbers, or tokens of the input."""
    signature = data.signature
    if not signature.labels or signature.labels == signature.vocabulary:
        return None
    counts = {part: np.zeros(len(signature.labels), np.int64) for part in PARTS}
    totals = dict.fromkeys(PARTS, 0)
    for part in PARTS:
        for batch in chunks(getattr(data, part)):
            y = batch.y.numpy()
            if signature.multilabel:
                counts[part] += (y > 0).sum(0)
                totals[part] += len(y)
            else:
                given = y[y != IGNORED]
                counts[part] += np.bincount(given, minlength=len(signature.labels))
                totals[part] += len(given)
    unit = "steps" if signature.by_step else "sequences"
    return Shares(_by_name(signature.labels, counts), totals, unit, exclusive=not signature.multilabel)


def tokens_of(data: Dataset) -> Shares | None:
    """Return the tokens of the inputs; None where the inputs are numbers."""
    vocabulary = data.signature.vocabulary
    if not vocabulary:
        return None
    counts = {part: np.zeros(len(vocabulary), np.int64) for part in PARTS}
    for part in PARTS:
        for batch in chunks(getattr(data, part)):
            counts[part] += np.bincount(steps_of(batch), minlength=len(vocabulary))
    return Shares(_by_name(vocabulary, counts), {part: int(counts[part].sum()) for part in PARTS}, "steps")


def _by_name(names: tuple[str, ...], counts: Mapping[str, NDArray[np.int64]]) -> dict[str, dict[str, int]]:
    return {name: {part: int(counts[part][index]) for part in PARTS} for index, name in enumerate(names)}


def repeated_in(data: Dataset) -> dict[str, int]:
    """Return the number of sequences of validation and test that the training part contains too, to the last bit.

    The source's own count is taken where there is one: it may know more of its sequences than their tensors.
    """
    if data.repeated:
        return dict(data.repeated)
    learnt = set(_hashes(data.train))
    return {part: sum(key in learnt for key in _hashes(getattr(data, part))) for part in PARTS[1:]}


def _hashes(part: Split) -> list[bytes]:
    """Return a hash of the valid steps of each sequence; of 16 bytes, since whole sequences might not fit twice."""
    keys = []
    for batch in chunks(part):
        for row, length in zip(batch.x.numpy(), _lengths(batch), strict=True):
            keys.append(blake2b(row[:length].tobytes(), digest_size=16).digest())
    return keys


def memory_of(data: Dataset) -> int:
    """Return the bytes of all tensors; those that share their memory, such as windows over a series, count once."""
    tensors = [
        tensor
        for part in (data.train, data.validation, data.test)
        for tensor in (part.x, part.y, part.lengths, part.naive, part.seasonal)
        if tensor is not None
    ]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def feature_names(signature: Signature) -> tuple[str, ...]:
    """Return the names of the features, numbers from 0 where they have none."""
    return signature.columns or tuple(map(str, range(signature.features)))
