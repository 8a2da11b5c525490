"""Tagging: a class for each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from torch import Tensor, nn

import zoo

__all__ = ["Tagging", "zoo_register_tasks"]


class Tagging(zoo.Task):
    """A score for each class at every step, and cross-entropy over the steps that have a class."""

    name = "tagging"
    answers = "classes"
    better: ClassVar[Mapping[str, Literal["higher", "lower"]]] = zoo.CLASS_METRICS

    @property
    def outputs(self) -> int:
        return len(self.signature.labels)

    def readout(self) -> nn.Module:
        return zoo.SoftmaxReadout()

    def loss(self, scores: Tensor, target: Tensor) -> Tensor:
        return zoo.step_cross_entropy(scores, target)

    def statistics(self, scores: Tensor, target: Tensor) -> zoo.Statistics:
        """``loss``: the summed loss; ``confusion`` (classes, classes): counts, true class by row."""
        return zoo.class_statistics(scores, target)

    def metrics(self, statistics: zoo.Statistics) -> dict[str, float]:
        return zoo.class_metrics(statistics)

    def baselines(self, train: zoo.Split, part: zoo.Split) -> Mapping[str, Tensor]:
        """``majority``: always the most frequent class, as sure of it as it is frequent."""
        return {"majority": zoo.class_frequencies(train, self.outputs).expand(*part.y.shape, -1)}


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    return [Tagging]
