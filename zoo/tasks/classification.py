"""The task ``classification``: one class for each sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

import zoo
from zoo.tasks.class_loss import ClassLoss, ClassLossConfig

__all__ = ["Classification", "zoo_register_tasks"]


class Classification(zoo.Task):
    """One score per class, cross-entropy and softmax; or, for two classes, a single score and a sigmoid."""

    name = "classification"
    answers = "class"
    better: ClassVar[Mapping[str, Literal["higher", "lower"]]] = {
        **zoo.CLASS_METRICS,
        "auroc": "higher",
        "average_precision": "higher",
    }
    ranked = ("auroc", "average_precision")

    class Config(ClassLossConfig):
        output: Literal["softmax", "sigmoid"] = "softmax"
        """softmax: a score for each class; sigmoid: a single score, that of the second of two classes."""

    def __init__(self, config: zoo.Config, signature: zoo.Signature) -> None:
        super().__init__(config, signature)
        self.sigmoid = isinstance(config, Classification.Config) and config.output == "sigmoid"
        if self.sigmoid and len(signature.labels) != 2:
            raise zoo.SpecError(
                f"task.output: 'sigmoid' is for two classes and these data have {len(signature.labels)}; use 'softmax'"
            )
        self._loss = ClassLoss.of(config, signature.labels)

    def fit(self, train: zoo.Split) -> None:
        """Take balanced class weights from the training part."""
        self._loss.fit(train)

    @property
    def outputs(self) -> int:
        return 1 if self.sigmoid else len(self.signature.labels)

    def readout(self) -> nn.Module:
        return zoo.SigmoidReadout() if self.sigmoid else zoo.SoftmaxReadout()

    def loss(self, scores: Tensor, target: Tensor) -> Tensor:
        if not self._loss.plain:
            return self._loss.each(self._by_class(scores), target).mean()
        if self.sigmoid:
            return nn.functional.binary_cross_entropy_with_logits(scores[:, 0], target.to(scores.dtype))
        return nn.functional.cross_entropy(scores, target)

    def statistics(self, scores: Tensor, target: Tensor) -> zoo.Statistics:
        """Return the sums of `zoo.class_statistics`: ``loss``, with the options of the spec, and ``confusion``."""
        scores = self._by_class(scores)
        sums = zoo.class_statistics(scores, target)
        return sums if self._loss.plain else {**sums, "loss": self._loss.each(scores.double(), target).sum()}

    def metrics(self, statistics: zoo.Statistics) -> dict[str, float]:
        return zoo.class_metrics(statistics)

    def ranking(self, scores: Tensor, target: Tensor) -> dict[str, float]:
        """Return `zoo.ranking_metrics` of each class against the rest, of two classes that of the second."""
        shares = self._by_class(scores).double().softmax(1)
        true = nn.functional.one_hot(target, shares.shape[1])
        if shares.shape[1] == 2:  # the score difference ranks where the shares round to 0 or 1
            wide = self._by_class(scores).double()
            shares, true = wide[:, 1:] - wide[:, :1], true[:, 1:]
        return zoo.ranking_metrics(shares, true)

    def table(self, statistics: zoo.Statistics) -> list[dict[str, Any]]:
        return zoo.confusion_table(self.signature.labels, statistics["confusion"])

    def _by_class(self, scores: Tensor) -> Tensor:
        """Return a score for each class."""
        # softmax(0, s) is sigmoid(s)
        return torch.cat([torch.zeros_like(scores), scores], 1) if self.sigmoid else scores

    def baselines(self, train: zoo.Split, part: zoo.Split) -> Mapping[str, Tensor]:
        """Return ``majority``, which predicts the class frequencies of the training part for every sequence."""
        shares = zoo.class_frequencies(train, len(self.signature.labels))
        scores = (shares[1:] - shares[:1]) if self.sigmoid else shares
        return {"majority": scores.expand(len(part), -1)}


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    """Register `Classification` as the task ``classification``."""
    return [Classification]
