"""Losses of tasks that predict one class: cross-entropy and focal loss, with class weights and label smoothing."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor, nn

import zoo


def _weights(value: object) -> object:
    """Check a value before pydantic does, which would report a fault for each member of the union.

    Labels become text, since YAML reads 1 as a number.
    """
    if isinstance(value, dict) and all(
        isinstance(weight, int | float) and not isinstance(weight, bool) and 0 < weight < inf
        for weight in value.values()
    ):
        return {str(label): float(weight) for label, weight in value.items()}
    if value in ("balanced", None):
        return value
    raise ValueError("must be 'balanced', or positive weights by label such as {walk: 2.5}")


Weights = Annotated[Literal["balanced"] | dict[str, Annotated[float, Field(gt=0)]] | None, BeforeValidator(_weights)]


class ClassLossConfig(zoo.TaskConfig):
    """Fields of a task that predicts one class, for each sequence or for each step."""

    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    """cross_entropy: -log p of the true class; focal: that times (1 - p) ** gamma, so that examples which are already
    right count less (Lin et al. 2017, arXiv:1708.02002)."""
    gamma: Annotated[float, Field(ge=0)] = 2.0
    """Exponent of the focal loss; 0 is cross-entropy."""
    class_weights: Weights = None
    """Weight of an example by its class. balanced: examples / (classes * examples of the class) in the training part,
    so that all classes weigh the same and the mean weight is 1; or a weight by label, 1 for labels left out."""
    label_smoothing: zoo.Fraction = 0.0
    """Share of each target's probability that is spread evenly over all classes, for cross_entropy."""


class ClassLoss:
    """Loss of each example, with the options of a spec.

    Args:
        config: the options.
        labels: names of the classes.

    Raises:
        SpecError: an option does not fit the labels or another option.
    """

    def __init__(self, config: ClassLossConfig, labels: tuple[str, ...]) -> None:
        self.config, self.labels = config, labels
        self.weights: Tensor | None = None
        """(classes,) float64; None for no weights, and for balanced ones before `fit`."""
        if config.loss == "focal" and config.label_smoothing:
            raise zoo.SpecError("task.label_smoothing: is for the loss 'cross_entropy'; leave it out with 'focal'")
        if isinstance(config.class_weights, dict):
            if unknown := [label for label in config.class_weights if label not in labels]:
                names = ", ".join(labels[:20]) + (", ..." if labels[20:] else "")
                raise zoo.SpecError(f"task.class_weights: {unknown[0]!r} is no label of these data; expected {names}")
            given = [config.class_weights.get(label, 1.0) for label in labels]
            self.weights = torch.tensor(given, dtype=torch.float64)

    @property
    def plain(self) -> bool:
        """Whether the loss is the cross-entropy without options."""
        config = self.config
        return config.loss == "cross_entropy" and config.class_weights is None and not config.label_smoothing

    @classmethod
    def of(cls, config: zoo.Config, labels: tuple[str, ...]) -> ClassLoss:
        """Return the loss of a task's config; of one without these fields the cross-entropy."""
        return cls(config if isinstance(config, ClassLossConfig) else ClassLossConfig(), labels)

    def fit(self, train: zoo.Split) -> None:
        """Take balanced weights from the targets of the training part; a class without an example counts as one."""
        if self.config.class_weights == "balanced":
            counts = torch.bincount(train.y[train.y != zoo.IGNORED], minlength=len(self.labels)).double()
            self.weights = counts.sum() / (len(self.labels) * counts.clamp(min=1))

    def each(self, scores: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each example, (n,) in nats, 0 where the target is ignored.

        Weights and smoothing act as in torch's cross_entropy without reduction.

        Args:
            scores: (n, classes), floating.
            target: (n,) int64.
        """
        if self.config.class_weights == "balanced" and self.weights is None:
            raise zoo.SpecError("task.class_weights: 'balanced' needs the training part; call Task.fit first")
        weights = None if self.weights is None else self.weights.to(scores)
        losses = nn.functional.cross_entropy(
            scores,
            target,
            weights,
            ignore_index=zoo.IGNORED,
            label_smoothing=self.config.label_smoothing,
            reduction="none",
        )
        if self.config.loss == "focal":
            true = target.clamp(min=0)[:, None]  # a loss of 0 stays 0
            others = -scores.log_softmax(-1).gather(1, true)[:, 0].expm1()  # 1 - p without cancellation
            # Above 0, where the slope of a power below 1 is infinite.
            losses = losses * others.clamp(min=torch.finfo(others.dtype).tiny) ** self.config.gamma
        return losses
