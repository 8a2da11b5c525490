"""What a model is for: the contract of a task, which is a head, a loss and metrics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor, nn

from zoo.config import Config as PartConfig

Statistics = dict[str, Tensor]
"""Sums over examples, from which metrics follow. Statistics of two parts of the data add up to those of the whole."""


class Task(ABC):
    """A head, a loss and metrics.

    Args:
        config: the task's part of the spec.
        labels: the names of the classes.
    """

    name: ClassVar[str]
    Config: ClassVar[type[PartConfig]] = PartConfig
    better: ClassVar[Mapping[str, Literal["higher", "lower"]]]
    """The metrics that `metrics` gives and which way is better, the most important one first."""

    def __init__(self, config: PartConfig, labels: tuple[str, ...]) -> None:
        self.config = config
        self.labels = labels

    @abstractmethod
    def head(self, features: int) -> nn.Module:
        """A module from (batch, features) to scores."""

    @abstractmethod
    def readout(self) -> nn.Module:
        """A module from scores to the named outputs that a user sees."""

    @abstractmethod
    def loss(self, scores: Tensor, target: Tensor) -> Tensor:
        """The mean loss of a batch, a scalar."""

    @abstractmethod
    def statistics(self, scores: Tensor, target: Tensor) -> Statistics:
        """Sums over a batch."""

    @abstractmethod
    def metrics(self, statistics: Statistics) -> dict[str, float]:
        """Metrics from summed statistics: ``loss`` and every key of ``better``."""
