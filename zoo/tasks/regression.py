"""The task ``regression``: one or more numbers for each sequence."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn

import zoo
from zoo.tasks.number_loss import PoissonLoss, RegressionConfig, make_loss

__all__ = ["Regression", "zoo_register_tasks"]


class Regression(zoo.Task):
    """Numbers in scaled units, a loss of the spec's choice, and a readout in the user's units."""

    name = "regression"
    answers: ClassVar[zoo.Answers] = "numbers"
    better: ClassVar[dict[str, Literal["higher", "lower"]]] = {
        "loss": "lower",
        "scaled_mae": "lower",
        "mae": "lower",
        "rmse": "lower",
        "smape": "lower",
        "mase": "lower",
    }

    Config: ClassVar[type[zoo.TaskConfig]] = RegressionConfig

    def __init__(self, config: zoo.Config, signature: zoo.Signature) -> None:
        super().__init__(config, signature)
        count = len(signature.targets)
        self.scale = signature.target_scale or zoo.Scale((0.0,) * count, (1.0,) * count)
        self._offset = torch.tensor(self.scale.offset, dtype=torch.float64)
        self._factor = torch.tensor(self.scale.factor, dtype=torch.float64)
        """Scale of the targets, (targets,), or of each sequence of a batch, (batch, targets); see `for_batch`."""
        self._persistence: Tensor | None = None
        """(targets,) mean absolute error of persistence in the training part, in the user's units, or that of each
        sequence's group, (batch, targets); see `fit` and `for_batch`."""
        self._by_group: Tensor | None = None
        """(groups + 1, targets) the same by the id of the group, where groups have scales of their own."""
        self._loss = make_loss(
            config if isinstance(config, RegressionConfig) else RegressionConfig(),
            self.scale,
            max(1, signature.horizon),
        )

    def fit(self, train: zoo.Split) -> None:
        """Take the error of persistence from the training part, which scales ``mase``.

        Raises:
            SpecError: the loss is poisson and a target is negative.
        """
        if isinstance(self._loss, PoissonLoss) and len(low := train.y[train.y < 0]):
            raise zoo.SpecError(
                f"task.loss: 'poisson' is for counts, and the training part has the target {float(low[0]):g}; use 'mse'"
            )
        if train.naive is None:
            return
        errors = (train.y.double() - train.naive.double()).abs()
        pooled = errors.flatten(0, -2).nanmean(0)
        self._persistence = pooled if bool((pooled > 0).all()) else None
        if self._persistence is not None and (ids := self._ids(train.x)) is not None:
            each = errors.reshape(len(errors), -1, errors.shape[-1]).nanmean(1)
            means = _means_of(each, ids, 1 + len(self.signature.target_scales))
            self._by_group = means.where(means > 0, pooled)

    @property
    def known_metrics(self) -> tuple[str, ...]:
        """The metrics; ``mase`` only for time series whose targets vary."""
        return tuple(name for name in self.better if name != "mase" or self._persistence is not None)

    @property
    def outputs(self) -> int:
        return self._loss.parts * len(self.signature.targets) * max(1, self.signature.horizon)

    def readout(self) -> nn.Module:
        return self._loss.readout(self.scale, self.signature.horizon, self.signature.target_scales)

    def for_batch(self, x: Tensor) -> Self:
        """Return the task with the scale of each sequence's group, where groups have scales of their own."""
        ids = self._ids(x)
        if ids is None:
            return self
        own, rows = copy(self), [self.scale, *self.signature.target_scales]
        own._offset, own._factor = (
            torch.tensor([getattr(row, part) for row in rows], dtype=torch.float64, device=x.device)[ids]
            for part in ("offset", "factor")
        )
        own._persistence = None if self._by_group is None else self._by_group.to(x.device)[ids]
        shift = (own._offset / own._factor).repeat(1, max(1, self.signature.horizon))
        own._loss = self._loss.with_shift(shift[:, None] if self.by_step else shift)
        return own

    def _ids(self, x: Tensor) -> Tensor | None:
        """Return the id of the group of each sequence, (batch,); None where groups have no scales of their own."""
        group = self.signature.group
        return None if group is None or not self.signature.target_scales else x[:, 0, group].long()

    def loss(self, scores: Tensor, target: Tensor) -> Tensor:
        return self._loss.mean(scores, self._scaled(target).to(scores.dtype))

    def statistics(self, scores: Tensor, target: Tensor) -> zoo.Statistics:
        """Return sums over all targets, and their ``count``.

        These are the losses, squared and absolute errors, scaled and unscaled, the terms of ``smape``, after `fit`
        those of ``mase``, and for a distribution the number of targets inside the interval.
        """
        scores, target = scores.double(), target.double()
        scaled = self._scaled(target)
        errors = self._loss.point(scores) - scaled
        unscaled = errors.reshape(*errors.shape[:-1], -1, self._factor.shape[-1])
        unscaled = unscaled * _like(self._factor, unscaled)
        true = target.reshape(unscaled.shape)
        sizes = true.abs() + (true + unscaled).abs()
        values = {
            "scaled_square": errors.square(),
            "scaled_absolute": errors.abs(),
            "square": unscaled.square(),
            "absolute": unscaled.abs(),
            "smape": 2 * unscaled.abs() / sizes.where(sizes > 0, 1.0),
        }
        if self._persistence is not None:
            values["mase"] = unscaled.abs() / _like(self._persistence, unscaled)
        if not self._loss.squared:
            values["loss"] = self._loss.each(scores, scaled)
        if self._loss.probability:
            low, high = self._loss.interval(scores)
            values["inside"] = ((low <= scaled) & (scaled <= high)).double()
        valid = scaled.isfinite()
        return {
            **{name: self._sum(value, valid) for name, value in values.items()},
            "count": torch.tensor(float(valid.sum()), dtype=errors.dtype, device=errors.device),
        }

    def metrics(self, statistics: zoo.Statistics) -> dict[str, float]:
        """Return the means of the sums.

        ``loss`` is the loss that training minimises; ``scaled_mae`` is of scaled numbers, ``mae`` and ``rmse`` of
        unscaled ones; ``smape`` is the mean of 2 |error| / (|target| + |prediction|), from 0 to 2; ``mase`` is the
        absolute error over that of persistence in the training part, as a mean over the targets (Hyndman and Koehler
        2006). ``coverage_of_0.8`` is the share of targets between the outer quantiles, which should be 0.8.
        """
        means = {name: float(value / statistics["count"]) for name, value in statistics.items()}
        metrics = {
            "loss": means.get("loss", means["scaled_square"]),
            "scaled_mae": means["scaled_absolute"],
            "mae": means["absolute"],
            "rmse": means["square"] ** 0.5,
            "smape": means["smape"],
        }
        if "mase" in means:
            metrics["mase"] = means["mase"]
        if "inside" in means:
            metrics[f"coverage_of_{self._loss.probability:g}"] = means["inside"]
        return metrics

    def baselines(self, train: zoo.Split, part: zoo.Split) -> Mapping[str, Tensor]:
        """Return ``mean``, that of the training part, ``persistence`` and ``seasonal`` persistence of a time series.

        For a distribution, ``mean`` is that of the training targets (``quantiles``, where quantiles are predicted), and
        persistence has the spread of its errors in the training part. All are computed in scaled units: where groups
        have scales of their own, the mean and the spread are relative to those of the group.
        """
        training, own = self.for_batch(train.x), self.for_batch(part.x)
        learnt = training._scaled(train.y.double())
        scores = own._loss.constant(learnt.flatten(0, -2))
        baselines = {self._loss.constant_name: scores.expand(*part.y.shape[: learnt.dim() - 1], -1)}
        forecasts = {"persistence": (train.naive, part.naive), "seasonal": (train.seasonal, part.seasonal)}
        for name, (learnt_from, forecast) in forecasts.items():
            if forecast is not None:
                before = learnt if learnt_from is None else training._scaled(learnt_from.double())
                errors = (learnt - before).flatten(0, -2)
                baselines[name] = own._loss.around(own._scaled(forecast.double()), errors)
        return baselines

    def _standardised(self, target: Tensor) -> Tensor:
        """Return targets (batch, ..., targets) scaled."""
        return (target - _like(self._offset, target)) / _like(self._factor, target)

    def _scaled(self, target: Tensor) -> Tensor:
        """Return targets, (batch, targets) or (batch, horizon, targets), scaled, (batch, horizon * targets)."""
        return self._standardised(target).flatten(1)

    def _sum(self, values: Tensor, valid: Tensor) -> Tensor:  # noqa: ARG002  (for targets by step)
        """Return the sum of the values of each target."""
        return values.sum()


def _like(columns: Tensor, values: Tensor) -> Tensor:
    """Return (targets,) or (batch, targets) with the dtype, device and axes of values (batch, ..., targets)."""
    columns = columns.to(values)
    return columns if columns.dim() == 1 else columns.reshape(len(columns), *[1] * (values.dim() - 2), -1)


def _means_of(values: Tensor, ids: Tensor, count: int) -> Tensor:
    """Return the means of values (batch, n) by id, (count, n), without NaN; 0 where there is no value."""
    valid = values.isfinite()
    sums, counts = (
        torch.zeros(count, values.shape[1], dtype=values.dtype).index_add(0, ids, part)
        for part in (values.where(valid, 0.0), valid.to(values.dtype))
    )
    return sums / counts.clamp(min=1)


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    """Register `Regression` as the task ``regression``."""
    return [Regression]
