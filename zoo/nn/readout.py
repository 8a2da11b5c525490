"""Readouts: the named outputs of a model, computed from its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from zoo.data.signature import Scale
from zoo.nn.encoder import scale_table

CLASS_OUTPUTS = ("logits", "probabilities")
"""Names of the outputs with one value for each class."""
SPREAD = "spread"
"""Name of the output with the standard deviation of each target."""
LEAST_SPREAD = 1e-3
"""Smallest spread that a model predicts, as a share of the target's scale: the likelihood of a normal distribution has
no bound where the spread may be 0."""


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


class MultilabelReadout(nn.Module):
    """Readout of labels that do not exclude each other: ``logits`` (the scores), ``probabilities`` (their sigmoid)."""

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """Return two tensors (..., labels) for scores (..., labels)."""
        return {"logits": scores, "probabilities": torch.sigmoid(scores)}


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
        return {"y": self._in_units(self._rows(scores), group)}

    def scores(self, outputs: Mapping[str, Tensor], group: Tensor | None = None) -> Tensor:
        """Return the scores of outputs, the inverse of `forward`."""
        return self._flat(self._scaled(outputs["y"], group))

    def _in_units(self, rows: Tensor, group: Tensor | None, *, shifted: bool = True) -> Tensor:
        """Return scaled numbers (..., targets) in the user's units; ``shifted`` adds the offset."""
        larger = rows * by_group(self.factor, group, rows)
        return larger + by_group(self.offset, group, rows) if shifted else larger

    def _scaled(self, values: Tensor, group: Tensor | None, *, shifted: bool = True) -> Tensor:
        """Return the inverse of `_in_units`."""
        values = values - by_group(self.offset, group, values) if shifted else values
        return values / by_group(self.factor, group, values)

    def _rows(self, scores: Tensor) -> Tensor:
        """Return one score for each target with an axis for the steps of the horizon, if there is a horizon."""
        return scores.reshape(-1, self.horizon, self.offset.shape[-1]) if self.horizon else scores

    def _flat(self, rows: Tensor) -> Tensor:
        """Return the inverse of `_rows`."""
        return rows.flatten(1) if self.horizon else rows


class RateReadout(RescaleReadout):
    """Readout of counts: ``y``, the rate exp(score) * factor in the user's units. The offset of the scale is not used.

    Args:
        scale: see `RescaleReadout`.
        horizon: see `RescaleReadout`.
        groups: see `RescaleReadout`.
    """

    def forward(self, scores: Tensor, group: Tensor | None = None) -> dict[str, Tensor]:
        """Return ``y``, positive, with the shapes of `RescaleReadout.forward`."""
        return {"y": self._in_units(self._rows(scores).exp(), group, shifted=False)}

    def scores(self, outputs: Mapping[str, Tensor], group: Tensor | None = None) -> Tensor:
        """Return the scores of outputs; a rate that was rounded to 0 counts as the smallest normal number."""
        rates = self._scaled(outputs["y"], group, shifted=False)
        return self._flat(rates.clamp(min=torch.finfo(rates.dtype).tiny).log())


class SpreadReadout(RescaleReadout):
    """Readout of normal distributions: ``y``, their means, and ``spread``, their standard deviations.

    Args:
        scale: see `RescaleReadout`.
        horizon: see `RescaleReadout`.
        groups: see `RescaleReadout`.
    """

    least = LEAST_SPREAD
    """Smallest scaled spread."""

    def forward(self, scores: Tensor, group: Tensor | None = None) -> dict[str, Tensor]:
        """Return ``y`` and ``spread``, in the user's units, with the shapes of `RescaleReadout.forward`.

        Args:
            scores: (..., 2 * n), first the scaled means, then the scores of the spreads; see `spread_of`.
            group: see `RescaleReadout.forward`.
        """
        means, spreads = scores.chunk(2, -1)
        spread = self._in_units(self._rows(spread_of(spreads)), group, shifted=False)
        return {**super().forward(means, group), SPREAD: spread}

    def scores(self, outputs: Mapping[str, Tensor], group: Tensor | None = None) -> Tensor:
        """Return the scores of outputs, the inverse of `forward`."""
        spreads = self._flat(self._scaled(outputs[SPREAD], group, shifted=False))
        return torch.cat([super().scores(outputs, group), spread_scores(spreads)], -1)


def spread_of(scores: Tensor) -> Tensor:
    """Return the scaled spread of each score: softplus(score) + `LEAST_SPREAD`."""
    return nn.functional.softplus(scores) + LEAST_SPREAD


def spread_scores(spreads: Tensor) -> Tensor:
    """Return the score of each scaled spread, the inverse of `spread_of`; the least spread has the score -20."""
    above = (spreads - LEAST_SPREAD).clamp(min=2e-9)
    return above + (-(-above).expm1()).log()  # log(exp(a) - 1) without overflow


class QuantileReadout(RescaleReadout):
    """Readout of quantiles: ``y``, the median, and for each other quantile an output such as ``q0.1``.

    The outputs do not cross; see `ordered`.

    Args:
        scale: see `RescaleReadout`.
        horizon: see `RescaleReadout`.
        quantiles: ascending, 0.5 among them.
        groups: see `RescaleReadout`.
    """

    def __init__(self, scale: Scale, horizon: int, quantiles: Sequence[float], groups: Sequence[Scale] = ()) -> None:
        super().__init__(scale, horizon, groups)
        self.quantiles = tuple(quantiles)
        self.names = ["y" if quantile == 0.5 else f"q{quantile}" for quantile in quantiles]
        """Names of the outputs, in the order of the quantiles."""

    def forward(self, scores: Tensor, group: Tensor | None = None) -> dict[str, Tensor]:
        """Return an output for each quantile, in the user's units, with the shapes of `RescaleReadout.forward`.

        Args:
            scores: (..., quantiles * n), all scores of the first quantile first.
            group: see `RescaleReadout.forward`.
        """
        rows = ordered(scores.chunk(len(self.names), -1), self.names.index("y"))
        named = {name: self._in_units(self._rows(row), group) for name, row in zip(self.names, rows, strict=True)}
        return {"y": named.pop("y"), **named}

    def scores(self, outputs: Mapping[str, Tensor], group: Tensor | None = None) -> Tensor:
        """Return scores that give the outputs."""
        return torch.cat([self._flat(self._scaled(outputs[name], group)) for name in self.names], -1)


def ordered(quantiles: Sequence[Tensor], median: int) -> list[Tensor]:
    """Return quantiles that do not cross: one that would is set to its neighbour on the side of the median.

    Args:
        quantiles: the values of each quantile, in ascending order of the quantiles; all of one shape.
        median: the index of the median, which is not changed.
    """
    rows = list(quantiles)
    for index in range(median + 1, len(rows)):
        rows[index] = torch.maximum(rows[index], rows[index - 1])
    for index in range(median - 1, -1, -1):
        rows[index] = torch.minimum(rows[index], rows[index + 1])
    return rows


def scores_of(readout: nn.Module, outputs: Mapping[str, Tensor], group: Tensor | None = None) -> Tensor:
    """Return the scores from which a readout computes its outputs; ``logits`` are the scores themselves."""
    return readout.scores(outputs, group) if isinstance(readout, RescaleReadout) else outputs["logits"]


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
