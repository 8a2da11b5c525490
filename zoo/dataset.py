"""What a model learns from: tensors in memory, split in three, and the contract of a data source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor

from zoo.config import Config as PartConfig


@dataclass(frozen=True)
class Split:
    """One part of a data set."""

    x: Tensor
    """(sequences, time, features), in the user's units; any real dtype."""
    y: Tensor
    """(sequences,), the class of each, int64."""

    def __len__(self) -> int:
        return len(self.y)

    def to(self, device: torch.device) -> Split:
        """The same part on another device."""
        return Split(self.x.to(device), self.y.to(device))


@dataclass(frozen=True)
class Dataset:
    """Sequences of equal length with a class each, in three disjoint parts."""

    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...]
    """The name of each class."""
    mean: Tensor
    """(features,) float32: what the model subtracts. Taken from the training part alone."""
    std: Tensor
    """(features,) float32: what it then divides by."""
    description: str
    """What the data are, where they come from and how they were split, in a sentence or two."""

    @property
    def features(self) -> int:
        return int(self.train.x.shape[2])

    @property
    def time(self) -> int:
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


def standardisation(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over everything in x (sequences, time, features), one pair for all features.

    Features on one common scale (the pixels of a picture) keep their relation to each other this way, and a pixel that
    is constant in the training part does not divide by zero. Returns two tensors of shape (features,), float32.
    """
    # In float64 and by chunks: a copy of the whole data set in a wider type would double the memory. The sums are plain
    # numbers, since a tensor kept for each chunk would hold the freed memory between them.
    parts = torch.split(x, 64)
    mean = sum(float(part.sum(dtype=torch.float64)) for part in parts) / x.numel()
    variance = sum(float((part.double() - mean).square().sum()) for part in parts) / x.numel()
    std = sqrt(variance) or 1.0
    return torch.full(x.shape[2:], mean), torch.full(x.shape[2:], std)
