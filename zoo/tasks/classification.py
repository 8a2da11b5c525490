"""Classification: one class for a whole sequence."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

import zoo

__all__ = ["Classification", "zoo_register_tasks"]


class Classification(zoo.Task):
    """A linear head, cross-entropy, and a softmax for the reader."""

    name = "classification"
    better: ClassVar[dict[str, Literal["higher", "lower"]]] = {
        "accuracy": "higher",
        "macro_f1": "higher",
        "loss": "lower",
    }

    def head(self, features: int) -> nn.Module:
        return nn.Linear(features, len(self.labels))

    def readout(self) -> nn.Module:
        return zoo.SoftmaxReadout()

    def loss(self, scores: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(scores, target)

    def statistics(self, scores: Tensor, target: Tensor) -> zoo.Statistics:
        """``loss``: the summed loss; ``confusion`` (classes, classes): counts, true class by row."""
        classes = len(self.labels)
        pairs = target * classes + scores.argmax(1)
        return {
            "loss": nn.functional.cross_entropy(scores.double(), target, reduction="sum"),
            "confusion": torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes).double(),
        }

    def metrics(self, statistics: zoo.Statistics) -> dict[str, float]:
        """Accuracy, macro F1 (classes that are neither present nor predicted left out) and mean cross-entropy."""
        confusion = statistics["confusion"]
        count = confusion.sum()
        hits = confusion.diagonal()
        appearances = confusion.sum(0) + confusion.sum(1)
        present = appearances > 0
        f1 = (2 * hits[present] / appearances[present]).mean()
        return {
            "loss": float(statistics["loss"] / count),
            "accuracy": float(hits.sum() / count),
            "macro_f1": float(f1),
        }


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    return [Classification]
