"""Readouts: the named outputs of a model, computed from its scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.data.signature import Scale

CLASS_OUTPUTS = ("logits", "probabilities")
"""Names of the outputs with one value for each class."""


class SoftmaxReadout(nn.Module):
    """Readout of a classification: ``logits`` (the scores) and ``probabilities`` (their softmax)."""

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """Return two tensors (..., classes) for scores (..., classes)."""
        return {"logits": scores, "probabilities": torch.softmax(scores, -1)}


class SigmoidReadout(nn.Module):
    """Readout of a binary classification with one score, that of the second class.

    The outputs are ``logits`` (the score) and ``probabilities`` (of both classes).
    """

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """Return logits (..., 1) and probabilities (..., 2) for scores (..., 1)."""
        # 1 - p would lose the digits of a small probability.
        return {"logits": scores, "probabilities": torch.sigmoid(torch.cat([-scores, scores], -1))}


class RescaleReadout(nn.Module):
    """Readout of a regression or forecast: ``y``, the scores rescaled to the user's units.

    Args:
        scale: offset and factor of each target.
        horizon: forecast steps; 0 for a single value of each target, where y has no axis for the steps.
    """

    offset: Tensor
    factor: Tensor

    def __init__(self, scale: Scale, horizon: int = 0) -> None:
        super().__init__()
        self.register_buffer("offset", torch.tensor(scale.offset))
        self.register_buffer("factor", torch.tensor(scale.factor))
        self.horizon = horizon

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """Return ``y`` for scores.

        Args:
            scores: (..., targets); with a horizon (batch, horizon * targets).

        Returns:
            (..., targets); with a horizon (batch, horizon, targets).
        """
        if self.horizon:
            scores = scores.reshape(-1, self.horizon, len(self.offset))
        return {"y": scores * self.factor + self.offset}
