"""What a model learns from: tensors in memory, split in three, and the contract of a data source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor

from zoo.config import Config as PartConfig
from zoo.data.signature import Scale, Signature

IGNORED = -100
"""The class of a step that has none and is not counted: torch's own number for it."""


@dataclass(frozen=True)
class Split:
    """One part of a data set, or a batch of it."""

    x: Tensor
    """(sequences, time, features) in the user's units, any real dtype; or (sequences, time) token ids, int64."""
    y: Tensor
    """What is to be said: (sequences,) a class each, int64; (sequences, time) a class for each step, int64, `IGNORED`
    where none is asked for; (sequences, targets) or (sequences, horizon, targets) numbers in the user's units."""
    lengths: Tensor | None = None
    """(sequences,) valid steps of each, int64, at least 1; None where all are full."""
    naive: Tensor | None = None
    """What somebody would say who knows the last value only, shaped as y: the baseline of a forecast."""

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device) -> Split:
        """The same part on another device."""
        return Split(*(None if part is None else part.to(device) for part in self._parts()))  # type: ignore[arg-type]

    def take(self, rows: Tensor | slice) -> Split:
        """Some of the sequences, without the steps that none of them has."""
        taken = Split(*(None if part is None else part[rows] for part in self._parts()))  # type: ignore[arg-type]
        if taken.lengths is None:
            return taken
        longest = int(taken.lengths.max())
        by_step = taken.y.dim() == 2 and not taken.y.is_floating_point()
        return replace(taken, x=taken.x[:, :longest], y=taken.y[:, :longest] if by_step else taken.y)

    def _parts(self) -> tuple[Tensor | None, ...]:
        return self.x, self.y, self.lengths, self.naive


@dataclass(frozen=True)
class Dataset:
    """Sequences with what is to be said about them, in three disjoint parts."""

    train: Split
    validation: Split
    test: Split
    signature: Signature
    """What goes in and what comes out. Its scales are taken from the training part alone."""
    description: str
    """What the data are, where they come from and how they were split, in a sentence or two."""
    repeated: Mapping[str, int] = field(default_factory=dict)
    """For ``validation`` and ``test``, how many of their sequences stand in the training part too, where the source
    counts them: so much of a result may be remembered rather than learnt."""

    @property
    def time(self) -> int:
        """Steps of a sequence; of the longest one where they differ."""
        return int(self.train.x.shape[1])


class DataSource(ABC):
    """Loads a data set. A subclass has a name, a Config whose fields appear under ``data`` in a spec, and `load`."""

    name: ClassVar[str]
    Config: ClassVar[type[PartConfig]] = PartConfig

    @abstractmethod
    def load(self, config: PartConfig) -> Dataset:
        """Read the data.

        Raises:
            DataError: naming the file, the place, what was found and what was expected.
        """


def standardisation(x: Tensor) -> Scale:
    """Mean and standard deviation over everything in x (sequences, time, features), one pair for all features.

    Features on one common scale (the pixels of a picture) keep their relation to each other this way, and a pixel that
    is constant in the training part does not divide by zero.
    """
    # In float64 and by chunks: a copy of the whole data set in a wider type would double the memory. The sums are plain
    # numbers, since a tensor kept for each chunk would hold the freed memory between them.
    parts = torch.split(x, 64)
    mean = sum(float(part.sum(dtype=torch.float64)) for part in parts) / x.numel()
    variance = sum(float((part.double() - mean).square().sum()) for part in parts) / x.numel()
    features = x.shape[2]
    return Scale((mean,) * features, (sqrt(variance) or 1.0,) * features)
