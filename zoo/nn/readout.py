"""Readouts: the named outputs of a model, computed from its scores."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.data.signature import Scale
from zoo.nn.encoder import scale_table

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
        groups: the scale of each group, where groups have their own; ``scale`` is then that of unknown groups.
    """

    offset: Tensor
    """(targets,); with groups (groups + 1, targets), by id."""
    factor: Tensor
    """Of the shape of the offset."""

    def __init__(self, scale: Scale, horizon: int = 0, groups: Sequence[Scale] = ()) -> None:
        super().__init__()
        offset, factor = scale_table(scale, groups)
        self.register_buffer("offset", offset)
        self.register_buffer("factor", factor)
        self.horizon, self.grouped = horizon, bool(groups)

    def forward(self, scores: Tensor, group: Tensor | None = None) -> dict[str, Tensor]:
        """Return ``y`` for scores.

        Args:
            scores: (..., targets); with a horizon (batch, horizon * targets).
            group: (batch,) int64, id of the group of each sequence, where groups have scales of their own.

        Returns:
            (..., targets); with a horizon (batch, horizon, targets).
        """
        if self.horizon:
            scores = scores.reshape(-1, self.horizon, self.offset.shape[-1])
        offset, factor = (by_group(part, group, scores) for part in (self.offset, self.factor))
        return {"y": scores * factor + offset}

    def scores(self, y: Tensor, group: Tensor | None = None) -> Tensor:
        """Return the scores of ``y``, the inverse of the readout; arguments as for it."""
        offset, factor = (by_group(part, group, y) for part in (self.offset, self.factor))
        return ((y - offset) / factor).flatten(1) if self.horizon else (y - offset) / factor


def by_group(table: Tensor, group: Tensor | None, like: Tensor) -> Tensor:
    """Return the rows of a table (groups + 1, n) for the groups of a batch, to compute with ``like`` (batch, ..., n).

    Args:
        table: offsets or factors by group; (n,) where groups have none of their own.
        group: (batch,) int64; None where groups have none of their own.
        like: gives the number of axes.
    """
    if group is None:
        return table
    return table[group].reshape(len(group), *[1] * (like.dim() - 2), -1)
