"""The readout: what makes of scores the named outputs that a user sees."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.data.signature import Scale

CLASS_OUTPUTS = ("logits", "probabilities")
"""Outputs with a number for each class."""


class SoftmaxReadout(nn.Module):
    """Class scores -> ``logits`` (the scores themselves) and ``probabilities`` (their softmax)."""

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """(..., classes) -> two tensors (..., classes)"""
        return {"logits": scores, "probabilities": torch.softmax(scores, -1)}


class SigmoidReadout(nn.Module):
    """One score, of the second of two classes -> ``logits`` (the score) and ``probabilities`` of both classes."""

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """(..., 1) -> (..., 1) and (..., 2)"""
        # Not 1 - p, which would lose the digits of a small probability.
        return {"logits": scores, "probabilities": torch.sigmoid(torch.cat([-scores, scores], -1))}


class RescaleReadout(nn.Module):
    """Scaled numbers -> ``y`` in the user's units.

    Args:
        scale: of the targets.
        horizon: steps that are told; 0 where only one is and y has no axis for them.
    """

    offset: Tensor
    factor: Tensor

    def __init__(self, scale: Scale, horizon: int = 0) -> None:
        super().__init__()
        self.register_buffer("offset", torch.tensor(scale.offset))
        self.register_buffer("factor", torch.tensor(scale.factor))
        self.horizon = horizon

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """(..., targets) -> the same; with a horizon (batch, horizon * targets) -> (batch, horizon, targets)"""
        if self.horizon:
            scores = scores.reshape(-1, self.horizon, len(self.offset))
        return {"y": scores * self.factor + self.offset}
