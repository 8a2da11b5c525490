"""The task ``regression``: one or more numbers for each sequence."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn

import zoo

__all__ = ["Regression", "zoo_register_tasks"]


class Regression(zoo.Task):
    """One score per target in scaled units, the mean squared error, and a readout in the user's units."""

    name = "regression"
    answers: ClassVar[zoo.Answers] = "numbers"
    better: ClassVar[dict[str, Literal["higher", "lower"]]] = {
        "loss": "lower",
        "scaled_mae": "lower",
        "mae": "lower",
        "rmse": "lower",
    }

    def __init__(self, config: zoo.Config, signature: zoo.Signature) -> None:
        super().__init__(config, signature)
        count = len(signature.targets)
        self.scale = signature.target_scale or zoo.Scale((0.0,) * count, (1.0,) * count)
        self._offset = torch.tensor(self.scale.offset, dtype=torch.float64)
        self._factor = torch.tensor(self.scale.factor, dtype=torch.float64)
        """Scale of the targets, (targets,), or of each sequence of a batch, (batch, targets); see `for_batch`."""

    @property
    def outputs(self) -> int:
        return len(self.signature.targets) * max(1, self.signature.horizon)

    def readout(self) -> nn.Module:
        return zoo.RescaleReadout(self.scale, self.signature.horizon, self.signature.target_scales)

    def for_batch(self, x: Tensor) -> Self:
        if not self.signature.target_scales or self.signature.group is None:
            return self
        own, ids, rows = copy(self), x[:, 0, self.signature.group].long(), [self.scale, *self.signature.target_scales]
        own._offset, own._factor = (
            torch.tensor([getattr(row, part) for row in rows], dtype=torch.float64, device=x.device)[ids]
            for part in ("offset", "factor")
        )
        return own

    def loss(self, scores: Tensor, target: Tensor) -> Tensor:
        return nn.functional.mse_loss(scores, self._scaled(target).to(scores.dtype))

    def statistics(self, scores: Tensor, target: Tensor) -> zoo.Statistics:
        """Return sums of squared and absolute errors over all targets, scaled and unscaled, and their ``count``."""
        errors = scores.double() - self._scaled(target.double())
        unscaled = errors.reshape(*errors.shape[:-1], -1, self._factor.shape[-1])
        unscaled = unscaled * _like(self._factor, unscaled)
        return {
            "scaled_square": errors.square().sum(),
            "scaled_absolute": errors.abs().sum(),
            "square": unscaled.square().sum(),
            "absolute": unscaled.abs().sum(),
            "count": torch.tensor(float(errors.numel()), dtype=errors.dtype, device=errors.device),
        }

    def metrics(self, statistics: zoo.Statistics) -> dict[str, float]:
        """Return ``loss`` (mean squared error) and ``scaled_mae`` of scaled numbers, ``mae`` and ``rmse`` unscaled."""
        means = {name: float(value / statistics["count"]) for name, value in statistics.items()}
        return {
            "loss": means["scaled_square"],
            "scaled_mae": means["scaled_absolute"],
            "mae": means["absolute"],
            "rmse": means["square"] ** 0.5,
        }

    def baselines(self, train: zoo.Split, part: zoo.Split) -> Mapping[str, Tensor]:
        """Return ``mean``, that of the training part, ``persistence`` and ``seasonal`` persistence of a time series."""
        mean = self.for_batch(train.x)._scaled(train.y.double()).mean(0)
        baselines = {"mean": mean.expand(len(part), -1)}
        for name, naive in (("persistence", part.naive), ("seasonal", part.seasonal)):
            if naive is not None:
                baselines[name] = self.for_batch(part.x)._scaled(naive.double())
        return baselines

    def _scaled(self, target: Tensor) -> Tensor:
        """Return targets, (batch, targets) or (batch, horizon, targets), as scores: scaled, (batch, outputs)."""
        return ((target - _like(self._offset, target)) / _like(self._factor, target)).flatten(1)


def _like(columns: Tensor, values: Tensor) -> Tensor:
    """Return (targets,) or (batch, targets) with the dtype, device and axes of values (batch, ..., targets)."""
    columns = columns.to(values)
    return columns if columns.dim() == 1 else columns.reshape(len(columns), *[1] * (values.dim() - 2), -1)


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    """Register `Regression` as the task ``regression``."""
    return [Regression]
