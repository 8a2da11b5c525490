"""Losses of tasks that predict numbers, in scaled units: of the scores, the prediction and its spread follow.

A loss has one or more scores for each number. They are laid out as ``parts`` blocks on the last axis, each with a score
for every number.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from math import log, pi
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

import zoo
from zoo.nn.readout import ordered, spread_of, spread_scores

COVERED = 0.9
"""Probability of the interval whose coverage is reported for a normal distribution."""
Z = 1.6448536269514722
"""Half the width of that interval, in standard deviations."""


class RegressionConfig(zoo.TaskConfig):
    """Fields of a task that predicts numbers."""

    loss: Literal["mse", "mae", "huber", "poisson", "normal"] = "mse"
    """mse: mean squared error; mae: mean absolute error; huber: squared up to delta, then linear; all of scaled
    numbers. poisson: negative log-likelihood of counts, whose predicted rate is exp(score) times the factor of the
    target's scale, without its offset. normal: negative log-likelihood of a normal distribution whose standard
    deviation is learnt, and is the output spread."""
    delta: Annotated[float, Field(gt=0)] = 1.0
    """huber: the error, in scaled units, from which the loss is linear."""
    quantiles: tuple[Annotated[float, Field(ge=0.001, le=0.999)], ...] | None = None
    """Quantiles to predict, with the pinball loss: ascending, with the median, such as [0.1, 0.5, 0.9]. The median is
    the output y, the others are q0.1 and q0.9; they do not cross."""


class NumberLoss(ABC):
    """Loss of each number, and the predictions that follow from the scores. All numbers are scaled."""

    parts: int = 1
    """Number of scores for each number."""
    squared: bool = False
    """Whether the loss is the squared error."""
    probability: float = 0.0
    """Probability of the interval whose coverage is reported; 0 without a distribution."""
    constant_name: str = "mean"
    """Name of the naive predictor that `constant` gives."""

    def mean(self, scores: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of all numbers; arguments as for `each`."""
        return self.each(scores, target).mean()

    @abstractmethod
    def each(self, scores: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each number, (..., n), of scores (..., parts * n) and targets (..., n)."""

    def point(self, scores: Tensor) -> Tensor:
        """Return the prediction of each number, (..., n)."""
        return scores

    def interval(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return the lower and upper ends of the interval of `probability`, (..., n) each."""
        return self.point(scores), self.point(scores)

    def readout(self, scale: zoo.Scale, horizon: int, groups: Sequence[zoo.Scale]) -> nn.Module:
        """Return the module from scores to outputs in the user's units; see `zoo.RescaleReadout` for its arguments."""
        return zoo.RescaleReadout(scale, horizon, groups)

    def with_shift(self, shift: Tensor) -> NumberLoss:  # noqa: ARG002  (for losses that depend on it)
        """Return the loss for sequences whose groups have scales of their own: this one, unless it depends on them.

        Args:
            shift: offset / factor of each number, (batch, n) or, by step, (batch, 1, n).
        """
        return self

    def constant(self, values: Tensor) -> Tensor:
        """Return the scores of the best prediction that knows only the targets of the training part.

        Args:
            values: (sequences, n); NaN where there is no number.

        Returns:
            (parts * n,) scores.
        """
        return self.around(values.nanmean(0), values - values.nanmean(0))

    @abstractmethod
    def around(self, values: Tensor, errors: Tensor) -> Tensor:
        """Return the scores of given predictions.

        Args:
            values: (..., n) predictions.
            errors: (sequences, n) errors of such predictions in the training part, for their spread; NaN where there is
                no number.
        """


class PointLoss(NumberLoss):
    """Squared, absolute or Huber error: one score for each number, the prediction itself.

    Args:
        name: kind of error.
        delta: Huber: the error, in scaled units, from which the loss is linear.
    """

    def __init__(self, name: Literal["mse", "mae", "huber"], delta: float) -> None:
        self.name, self.delta, self.squared = name, delta, name == "mse"

    def mean(self, scores: Tensor, target: Tensor) -> Tensor:
        # The mean of `each` is equal; this is one operation.
        return nn.functional.mse_loss(scores, target) if self.squared else super().mean(scores, target)

    def each(self, scores: Tensor, target: Tensor) -> Tensor:
        if self.name == "huber":
            return nn.functional.huber_loss(scores, target, "none", self.delta)
        function = nn.functional.mse_loss if self.name == "mse" else nn.functional.l1_loss
        return function(scores, target, reduction="none")

    def around(self, values: Tensor, errors: Tensor) -> Tensor:  # noqa: ARG002  (no spread)
        return values


class PoissonLoss(NumberLoss):
    """Negative log-likelihood of counts, up to a constant and over the scale's factor; the score is a logarithm.

    With the factor f of the target's scale the rate is f * exp(score), and the loss exp(score) - y / f * score. The
    offset has no part in it.

    Args:
        scale: scale of the targets.
        repeats: how often the targets follow each other in n: the steps of the horizon.
    """

    def __init__(self, scale: zoo.Scale, repeats: int) -> None:
        pairs = zip(scale.offset, scale.factor, strict=True)
        self.shift = torch.tensor([offset / factor for offset, factor in pairs] * repeats, dtype=torch.float64)
        """(n,), or as in `with_shift`: what a scaled number lacks to be the number over the factor."""

    def with_shift(self, shift: Tensor) -> NumberLoss:
        own = copy(self)
        own.shift = shift
        return own

    def each(self, scores: Tensor, target: Tensor) -> Tensor:
        return nn.functional.poisson_nll_loss(scores, target + self.shift.to(target), reduction="none")

    def point(self, scores: Tensor) -> Tensor:
        return scores.exp() - self.shift.to(scores)

    def readout(self, scale: zoo.Scale, horizon: int, groups: Sequence[zoo.Scale]) -> nn.Module:
        return zoo.RateReadout(scale, horizon, groups)

    def around(self, values: Tensor, errors: Tensor) -> Tensor:  # noqa: ARG002  (no spread of its own)
        return (values + self.shift.to(values)).clamp(min=1e-6).log()  # a rate of 0 would make a count impossible


class NormalLoss(NumberLoss):
    """Negative log-likelihood of a normal distribution whose spread is learnt: a score for the mean and for the spread.

    See `zoo.nn.readout.spread_of` for the spread of a score.
    """

    parts = 2
    probability = COVERED

    def each(self, scores: Tensor, target: Tensor) -> Tensor:
        means, raw = scores.chunk(2, -1)
        spread = spread_of(raw)
        return spread.log() + 0.5 * ((target - means) / spread).square() + 0.5 * log(2 * pi)

    def point(self, scores: Tensor) -> Tensor:
        return scores.chunk(2, -1)[0]

    def interval(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        means, raw = scores.chunk(2, -1)
        reach = Z * spread_of(raw)
        return means - reach, means + reach

    def readout(self, scale: zoo.Scale, horizon: int, groups: Sequence[zoo.Scale]) -> nn.Module:
        return zoo.SpreadReadout(scale, horizon, groups)

    def around(self, values: Tensor, errors: Tensor) -> Tensor:
        spread = errors.square().nanmean(0).sqrt()
        return torch.cat([values, spread_scores(spread).expand(values.shape)], -1)


class QuantileLoss(NumberLoss):
    """Pinball loss, the mean over the quantiles (Koenker and Bassett 1978): a score for each quantile.

    The outputs do not cross (`zoo.QuantileReadout`); the loss is that of the scores before, since one that is moved to
    its neighbour would learn nothing.

    Args:
        quantiles: ascending, 0.5 among them.
    """

    constant_name = "quantiles"

    def __init__(self, quantiles: Sequence[float]) -> None:
        self.quantiles, self.parts = tuple(quantiles), len(quantiles)
        self.median = self.quantiles.index(0.5)
        self.probability = self.quantiles[-1] - self.quantiles[0]

    def each(self, scores: Tensor, target: Tensor) -> Tensor:
        rows = zip(scores.chunk(self.parts, -1), self.quantiles, strict=True)
        losses = [torch.maximum(q * (target - row), (q - 1) * (target - row)) for row, q in rows]
        return torch.stack(losses).mean(0)

    def point(self, scores: Tensor) -> Tensor:
        return scores.chunk(self.parts, -1)[self.median]

    def interval(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        rows = ordered(scores.chunk(self.parts, -1), self.median)
        return rows[0], rows[-1]

    def readout(self, scale: zoo.Scale, horizon: int, groups: Sequence[zoo.Scale]) -> nn.Module:
        return zoo.QuantileReadout(scale, horizon, self.quantiles, groups)

    def constant(self, values: Tensor) -> Tensor:
        return self._quantiles(values).flatten()

    def around(self, values: Tensor, errors: Tensor) -> Tensor:
        spans = self._quantiles(errors)
        return torch.cat([values + (span - spans[self.median]) for span in spans], -1)

    def _quantiles(self, values: Tensor) -> Tensor:
        """Return the quantiles of each column of (sequences, n), (quantiles, n)."""
        columns = [quantiles(column, self.quantiles) for column in values.T]
        return torch.stack(columns, 1)


def quantiles(values: Tensor, shares: Sequence[float]) -> Tensor:
    """Return quantiles (shares,) of numbers (n,) without those that are NaN, interpolated between neighbours."""
    ranked = values[~values.isnan()].sort().values
    places = torch.tensor(shares, dtype=torch.float64) * (len(ranked) - 1)
    low = places.floor().long()
    high = (low + 1).clamp(max=len(ranked) - 1)
    return ranked[low] + (ranked[high] - ranked[low]) * (places - low)


def make_loss(config: RegressionConfig, scale: zoo.Scale, repeats: int) -> NumberLoss:
    """Return the loss of a task's config.

    Args:
        config: the options.
        scale: scale of the targets.
        repeats: see `PoissonLoss`.

    Raises:
        SpecError: the quantiles are not ascending, lack the median, or stand beside a loss; or a scale is negative.
    """
    chosen = config.quantiles
    if chosen is not None:
        if config.loss != "mse":
            raise zoo.SpecError(
                f"task.quantiles: have the pinball loss, and task.loss is {config.loss!r}; leave one of them out"
            )
        if sorted(set(chosen)) != list(chosen) or 0.5 not in chosen or len(chosen) < 2:
            text = ", ".join(f"{quantile:g}" for quantile in chosen)
            raise zoo.SpecError(
                f"task.quantiles: must be in ascending order with the median, such as [0.1, 0.5, 0.9], got [{text}]"
            )
    if (chosen or config.loss in ("poisson", "normal")) and min(scale.factor) < 0:
        raise zoo.SpecError("task.loss: a target of these data has a scale with a negative factor; use 'mse'")
    if chosen is not None:
        return QuantileLoss(chosen)
    if config.loss == "poisson":
        return PoissonLoss(scale, repeats)
    return NormalLoss() if config.loss == "normal" else PointLoss(config.loss, config.delta)
