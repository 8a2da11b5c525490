"""The task ``multilabel``: any number of labels for each sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

import zoo

__all__ = ["Multilabel", "zoo_register_tasks"]


class Multilabel(zoo.Task):
    """One score per label, binary cross-entropy and a sigmoid for each; a label is predicted from a half on."""

    name = "multilabel"
    answers = "labels"
    better: ClassVar[Mapping[str, Literal["higher", "lower"]]] = {
        "micro_f1": "higher",
        "macro_f1": "higher",
        "average_precision": "higher",
        "auroc": "higher",
        "loss": "lower",
    }
    ranked = ("average_precision", "auroc")

    @property
    def outputs(self) -> int:
        return len(self.signature.labels)

    def readout(self) -> nn.Module:
        return zoo.MultilabelReadout()

    def loss(self, scores: Tensor, target: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(scores, target.to(scores.dtype))

    def statistics(self, scores: Tensor, target: Tensor) -> zoo.Statistics:
        """Return the sum of the cross-entropies, their ``count``, and by label ``hits``, ``predicted`` and ``true``."""
        wide, true = scores.double(), target.double()
        predicted = (scores >= 0).double()
        return {
            "loss": nn.functional.binary_cross_entropy_with_logits(wide, true, reduction="sum"),
            "count": torch.tensor(float(true.numel()), dtype=wide.dtype, device=wide.device),
            "hits": (predicted * true).sum(0),
            "predicted": predicted.sum(0),
            "true": true.sum(0),
        }

    def metrics(self, statistics: zoo.Statistics) -> dict[str, float]:
        """Return ``micro_f1`` of all labels together, ``macro_f1`` and ``loss``, the mean cross-entropy in nats.

        ``macro_f1`` is the mean over the labels that occur among the targets or the predictions. Both are 0 where there
        are none.
        """
        hits, appearances = statistics["hits"], statistics["predicted"] + statistics["true"]
        present = appearances > 0
        occurs = bool(present.any())
        return {
            "micro_f1": float(2 * hits.sum() / appearances.sum()) if occurs else 0.0,
            "macro_f1": float((2 * hits[present] / appearances[present]).mean()) if occurs else 0.0,
            "loss": float(statistics["loss"] / statistics["count"]),
        }

    def ranking(self, scores: Tensor, target: Tensor) -> dict[str, float]:
        """Return `zoo.ranking_metrics` of each label."""
        return zoo.ranking_metrics(scores, target)

    def table(self, statistics: zoo.Statistics) -> list[dict[str, Any]]:
        sums = (statistics[name] for name in ("hits", "predicted", "true"))
        return zoo.class_table(self.signature.labels, *sums)

    def baselines(self, train: zoo.Split, part: zoo.Split) -> Mapping[str, Tensor]:
        """Return ``frequencies``, which predicts for every sequence the labels' shares of the training part.

        One example with and one without the label are added, so that no share is 0 or 1 (Laplace smoothing).
        """
        shares = (train.y.double().sum(0) + 1) / (len(train) + 2)
        return {"frequencies": shares.logit().expand(len(part), -1)}


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    """Register `Multilabel` as the task ``multilabel``."""
    return [Multilabel]
