"""The task ``tagging``: one class for each step."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

import zoo

__all__ = ["Tagging", "zoo_register_tasks"]


class Tagging(zoo.Task):
    """One score per class at every step, and cross-entropy over the steps that have a target."""

    name = "tagging"
    answers = "classes"
    better = zoo.CLASS_METRICS

    @property
    def outputs(self) -> int:
        return len(self.signature.labels)

    def readout(self) -> nn.Module:
        return zoo.SoftmaxReadout()

    def loss(self, scores: Tensor, target: Tensor) -> Tensor:
        return zoo.step_cross_entropy(scores, target)

    def statistics(self, scores: Tensor, target: Tensor) -> zoo.Statistics:
        """Return the sums of `zoo.class_statistics`: ``loss`` and ``confusion``."""
        return zoo.class_statistics(scores, target)

    def metrics(self, statistics: zoo.Statistics) -> dict[str, float]:
        return zoo.class_metrics(statistics)

    def baselines(self, train: zoo.Split, part: zoo.Split) -> Mapping[str, Tensor]:
        """Return ``majority``, which predicts the class frequencies of the training part at every step."""
        return {"majority": zoo.class_frequencies(train, self.outputs).expand(*part.y.shape, -1)}


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    """Register `Tagging` as the task ``tagging``."""
    return [Tagging]
