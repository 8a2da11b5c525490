"""The task ``tagging``: one class for each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

import zoo
from zoo.tasks.class_loss import ClassLoss, ClassLossConfig

__all__ = ["Tagging", "zoo_register_tasks"]


class Tagging(zoo.Task):
    """One score per class at every step, and cross-entropy over the steps that have a target."""

    name = "tagging"
    answers = "classes"
    better = zoo.CLASS_METRICS
    Config: ClassVar[type[zoo.TaskConfig]] = ClassLossConfig

    def __init__(self, config: zoo.Config, signature: zoo.Signature) -> None:
        super().__init__(config, signature)
        self._loss = ClassLoss.of(config, signature.labels)

    def fit(self, train: zoo.Split) -> None:
        """Take balanced class weights from the training part."""
        self._loss.fit(train)

    @property
    def outputs(self) -> int:
        return len(self.signature.labels)

    def readout(self) -> nn.Module:
        return zoo.SoftmaxReadout()

    def loss(self, scores: Tensor, target: Tensor) -> Tensor:
        if self._loss.plain:
            return zoo.step_cross_entropy(scores, target)
        losses = self._loss.each(scores.flatten(0, 1), target.flatten()).reshape(target.shape)
        return (losses.sum(1) / (target != zoo.IGNORED).sum(1).clamp(min=1)).mean()

    def statistics(self, scores: Tensor, target: Tensor) -> zoo.Statistics:
        """Return the sums of `zoo.class_statistics`: ``loss``, with the options of the spec, and ``confusion``."""
        sums = zoo.class_statistics(scores, target)
        if self._loss.plain:
            return sums
        return {**sums, "loss": self._loss.each(scores.double().flatten(0, 1), target.flatten()).sum()}

    def metrics(self, statistics: zoo.Statistics) -> dict[str, float]:
        return zoo.class_metrics(statistics)

    def table(self, statistics: zoo.Statistics) -> list[dict[str, Any]]:
        return zoo.confusion_table(self.signature.labels, statistics["confusion"])

    def baselines(self, train: zoo.Split, part: zoo.Split) -> Mapping[str, Tensor]:
        """Return ``majority``, which predicts the class frequencies of the training part at every step."""
        return {"majority": zoo.class_frequencies(train, self.outputs).expand(*part.y.shape, -1)}


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    """Register `Tagging` as the task ``tagging``."""
    return [Tagging]
