"""The task ``classification``: one class for each sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

import zoo

__all__ = ["Classification", "zoo_register_tasks"]


class Classification(zoo.Task):
    """One score per class, cross-entropy and softmax; or, for two classes, a single score and a sigmoid."""

    name = "classification"
    answers = "class"
    better = zoo.CLASS_METRICS

    class Config(zoo.TaskConfig):
        output: Literal["softmax", "sigmoid"] = "softmax"
        """softmax: a score for each class; sigmoid: a single score, that of the second of two classes."""

    def __init__(self, config: zoo.Config, signature: zoo.Signature) -> None:
        super().__init__(config, signature)
        self.sigmoid = isinstance(config, Classification.Config) and config.output == "sigmoid"
        if self.sigmoid and len(signature.labels) != 2:
            raise zoo.SpecError(
                f"task.output: 'sigmoid' is for two classes and these data have {len(signature.labels)}; use 'softmax'"
            )

    @property
    def outputs(self) -> int:
        return 1 if self.sigmoid else len(self.signature.labels)

    def readout(self) -> nn.Module:
        return zoo.SigmoidReadout() if self.sigmoid else zoo.SoftmaxReadout()

    def loss(self, scores: Tensor, target: Tensor) -> Tensor:
        if self.sigmoid:
            return nn.functional.binary_cross_entropy_with_logits(scores[:, 0], target.to(scores.dtype))
        return nn.functional.cross_entropy(scores, target)

    def statistics(self, scores: Tensor, target: Tensor) -> zoo.Statistics:
        """Return the sums of `zoo.class_statistics`: ``loss`` and ``confusion``."""
        if self.sigmoid:  # softmax(0, s) is sigmoid(s)
            scores = torch.cat([torch.zeros_like(scores), scores], 1)
        return zoo.class_statistics(scores, target)

    def metrics(self, statistics: zoo.Statistics) -> dict[str, float]:
        return zoo.class_metrics(statistics)

    def baselines(self, train: zoo.Split, part: zoo.Split) -> Mapping[str, Tensor]:
        """Return ``majority``, which predicts the class frequencies of the training part for every sequence."""
        shares = zoo.class_frequencies(train, len(self.signature.labels))
        scores = (shares[1:] - shares[:1]) if self.sigmoid else shares
        return {"majority": scores.expand(len(part), -1)}


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    """Register `Classification` as the task ``classification``."""
    return [Classification]
