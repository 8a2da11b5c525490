"""The task ``step_regression``: one or more numbers for each step."""

from __future__ import annotations

import torch
from torch import Tensor

import zoo
from zoo.tasks.regression import Regression

__all__ = ["StepRegression", "zoo_register_tasks"]


class StepRegression(Regression):
    """Regression with numbers at every step; a step whose target is NaN, as in the padding, does not count."""

    name = "step_regression"
    answers = "step_numbers"

    def loss(self, scores: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of each sequence's numbers, then over the sequences; one without any counts as 0."""
        scaled = self._scaled(target[:, : scores.shape[1]]).to(scores.dtype)
        valid = scaled.isfinite()
        losses = self._loss.each(scores, scaled.where(valid, 0.0)).where(valid, 0.0)
        return (losses.sum((1, 2)) / valid.sum((1, 2)).clamp(min=1)).mean()

    def statistics(self, scores: Tensor, target: Tensor) -> zoo.Statistics:
        """Return the sums of `Regression.statistics` over the numbers of all steps."""
        return super().statistics(scores, target[:, : scores.shape[1]])

    def _scaled(self, target: Tensor) -> Tensor:
        """Return targets (batch, time, targets) scaled."""
        return self._standardised(target)

    def _sum(self, values: Tensor, valid: Tensor) -> Tensor:
        return torch.sum(values.reshape(valid.shape)[valid])


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    """Register `StepRegression` as the task ``step_regression``."""
    return [StepRegression]
