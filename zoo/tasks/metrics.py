"""Losses and metrics shared by tasks. Statistics are sums over examples, in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from statistics import fmean
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.data.dataset import Split
from zoo.data.signature import IGNORED


def step_cross_entropy(scores: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of a class for each step, in nats: the mean over its steps, then over the sequences.

    Args:
        scores: (batch, time, classes), floating.
        target: (batch, time), int64, `IGNORED` where a step has no target.

    Returns:
        A scalar of the dtype of ``scores``. A sequence without any target counts as 0.
    """
    losses = nn.functional.cross_entropy(scores.flatten(0, 1), target.flatten(), ignore_index=IGNORED, reduction="none")
    counted = (target != IGNORED).sum(1).clamp(min=1)
    return (losses.reshape(target.shape).sum(1) / counted).mean()


def class_statistics(scores: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Return the sums from which `class_metrics` follow, over the examples that have a target.

    Args:
        scores: (..., classes), floating.
        target: (...), int64, `IGNORED` where there is no target.

    Returns:
        ``loss``: the sum of the cross-entropies in nats; ``confusion``: (classes, classes) counts, the true class by
        row and the predicted class by column. Both float64.
    """
    classes = scores.shape[-1]
    scores, target = scores.reshape(-1, classes), target.reshape(-1)
    counted = target != IGNORED
    pairs = (target * classes + scores.argmax(1))[counted]
    return {
        "loss": nn.functional.cross_entropy(scores.double(), target, ignore_index=IGNORED, reduction="sum"),
        "confusion": torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes).double(),
    }


CLASS_METRICS: Mapping[str, Literal["higher", "lower"]] = {
    "accuracy": "higher",
    "macro_f1": "higher",
    "balanced_accuracy": "higher",
    "loss": "lower",
}
"""The metrics of `class_metrics`, the most important first, and the direction in which each is better."""


def class_metrics(statistics: dict[str, Tensor]) -> dict[str, float]:
    """Return ``loss``, ``accuracy``, ``macro_f1`` and ``balanced_accuracy`` from the sums of `class_statistics`.

    ``loss`` is the mean cross-entropy in nats. ``macro_f1`` is the mean of 2 TP / (2 TP + FP + FN) over the classes
    that occur among the targets or the predictions, ``balanced_accuracy`` the mean of TP / (TP + FN) over the classes
    that occur among the targets.

    Args:
        statistics: sums over all batches.
    """
    confusion = statistics["confusion"]
    count, hits = confusion.sum(), confusion.diagonal()
    appearances = confusion.sum(0) + confusion.sum(1)
    present, true = appearances > 0, confusion.sum(1)
    return {
        "loss": float(statistics["loss"] / count),
        "accuracy": float(hits.sum() / count),
        "macro_f1": float((2 * hits[present] / appearances[present]).mean()),
        "balanced_accuracy": float((hits[true > 0] / true[true > 0]).mean()),
    }


def class_table(labels: Sequence[str], hits: Tensor, predicted: Tensor, true: Tensor) -> list[dict[str, Any]]:
    """Return a row for each class: ``label``, ``precision``, ``recall``, ``f1``, ``support``.

    A share of nothing is None: the precision of a class that is never predicted, the recall of one that has no example.

    Args:
        labels: names of the classes.
        hits: (classes,) number of examples of each class that are predicted as such.
        predicted: (classes,) number of predictions of each class.
        true: (classes,) number of examples of each class, its support.
    """

    def share(part: float, whole: float) -> float | None:
        return part / whole if whole else None

    rows = zip(labels, hits.tolist(), predicted.tolist(), true.tolist(), strict=True)
    return [
        {
            "label": label,
            "precision": share(hit, guesses),
            "recall": share(hit, support),
            "f1": share(2 * hit, guesses + support),
            "support": int(support),
        }
        for label, hit, guesses, support in rows
    ]


def confusion_table(labels: Sequence[str], confusion: Tensor) -> list[dict[str, Any]]:
    """Return `class_table` of a confusion matrix.

    Args:
        labels: names of the classes.
        confusion: (classes, classes) counts, the true class by row and the predicted class by column.
    """
    return class_table(labels, confusion.diagonal(), confusion.sum(0), confusion.sum(1))


def ranking_metrics(scores: Tensor, target: Tensor) -> dict[str, float]:
    """Return ``auroc`` and ``average_precision`` of each label against the rest, as means over the labels.

    Labels without an example, and labels that every example has, do not count; the metrics are NaN where none is left.
    Both are exact: scikit-learn ranks all examples.

    Args:
        scores: (examples, labels), larger where a label is more probable.
        target: (examples, labels), 1 where an example has a label, else 0.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score  # takes half a second to import

    pairs = [
        (true, values)
        for true, values in zip(target.T.numpy(), scores.double().T.numpy(), strict=True)
        if 0 < true.sum() < len(true)
    ]
    measures = {"auroc": roc_auc_score, "average_precision": average_precision_score}
    return {
        name: fmean(float(measure(true, values)) for true, values in pairs) if pairs else nan
        for name, measure in measures.items()
    }


def class_frequencies(train: Split, classes: int) -> Tensor:
    """Return the logarithm of each class's share of the training part: scores of a baseline without input.

    One example is added to each class, so that no share is 0 (Laplace smoothing).

    Args:
        train: the training part; targets that are `IGNORED` do not count.
        classes: number of classes.

    Returns:
        (classes,) float64.
    """
    counted = train.y[train.y != IGNORED]
    counts = torch.bincount(counted, minlength=classes).double() + 1
    return (counts / counts.sum()).log()
