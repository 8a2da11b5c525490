"""Losses and metrics that tasks share. Statistics are sums over examples, in float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from zoo.data.dataset import IGNORED, Split


def step_cross_entropy(scores: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of classes for each step, in nats: the mean over the sequences of each one's mean over its steps.

    Args:
        scores: (batch, time, classes).
        target: (batch, time), `IGNORED` where a step is not counted.
    """
    losses = nn.functional.cross_entropy(scores.flatten(0, 1), target.flatten(), ignore_index=IGNORED, reduction="none")
    counted = (target != IGNORED).sum(1).clamp(min=1)
    return (losses.reshape(target.shape).sum(1) / counted).mean()


def class_statistics(scores: Tensor, target: Tensor) -> dict[str, Tensor]:
    """``loss``: summed cross-entropy in nats; ``confusion`` (classes, classes): counts, true class by row.

    Args:
        scores: (..., classes).
        target: (...), `IGNORED` where it is not counted.
    """
    classes = scores.shape[-1]
    scores, target = scores.reshape(-1, classes), target.reshape(-1)
    counted = target != IGNORED
    pairs = (target * classes + scores.argmax(1))[counted]
    return {
        "loss": nn.functional.cross_entropy(scores.double(), target, ignore_index=IGNORED, reduction="sum"),
        "confusion": torch.bincount(pairs, minlength=classes * classes).reshape(classes, classes).double(),
    }


CLASS_METRICS: Mapping[str, Literal["higher", "lower"]] = {"accuracy": "higher", "macro_f1": "higher", "loss": "lower"}
"""What `class_metrics` gives and which way is better, the most important one first."""


def class_metrics(statistics: dict[str, Tensor]) -> dict[str, float]:
    """Mean cross-entropy, accuracy, and macro F1 (classes that are neither present nor predicted left out)."""
    confusion = statistics["confusion"]
    count, hits = confusion.sum(), confusion.diagonal()
    appearances = confusion.sum(0) + confusion.sum(1)
    present = appearances > 0
    return {
        "loss": float(statistics["loss"] / count),
        "accuracy": float(hits.sum() / count),
        "macro_f1": float((2 * hits[present] / appearances[present]).mean()),
    }


def class_frequencies(train: Split, classes: int) -> Tensor:
    """(classes,): the logarithm of each class's share of the training part, one example of each added to avoid zero."""
    counted = train.y[train.y != IGNORED]
    counts = torch.bincount(counted, minlength=classes).double() + 1
    return (counts / counts.sum()).log()
