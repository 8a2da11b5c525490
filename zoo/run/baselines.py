"""Quality of a result: the metric to compare by, naive predictors, and models whose output is constant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from zoo.data.dataset import Split
from zoo.nn.model import Model
from zoo.tasks.task import Task
from zoo.training.engine import score


def compared_metric(metric: str, better: Mapping[str, Any]) -> str:
    """Return the metric to compare results by: ``metric``, or the task's first if it is ``train_loss``.

    Args:
        metric: the metric that selected the weights.
        better: the metrics of the task; see `zoo.Task.better`.
    """
    return metric if metric in better else next(iter(better))


def naive_metrics(task: Task, train: Split, part: Split) -> dict[str, dict[str, float]]:
    """Return the metrics of each naive predictor of the task on ``part``, by the predictor's name.

    Args:
        task: gives the naive predictors and the metrics.
        train: the training part, from which the predictors are fitted; on the CPU.
        part: the part on which they are evaluated; on the CPU.

    Returns:
        Predictor's name -> metric's name -> value.
    """

    def metrics(scores: Tensor) -> dict[str, float]:
        def batch_scores(batch: Split, rows: Tensor | slice) -> Tensor:
            selected = scores[rows]
            return selected[:, : batch.x.shape[1]] if task.by_step else selected

        return score(task, part, batch_scores)[0]

    return {name: metrics(scores) for name, scores in task.baselines(train, part).items()}


def not_beaten(
    task: Task, metric: str, result: Mapping[str, float], naive: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """Return the names of the naive predictors that are at least as good as ``result`` by ``metric``.

    Args:
        task: states for each metric whether higher or lower is better.
        metric: the metric to compare by.
        result: the model's metrics.
        naive: the metrics of each naive predictor; see `naive_metrics`.
    """
    sign = 1 if task.better[metric] == "higher" else -1
    return [name for name, metrics in naive.items() if sign * result[metric] <= sign * metrics[metric]]


@torch.inference_mode()
def has_constant_output(model: Model, sample: Split) -> bool:
    """Return whether the model's scores are equal for all sequences of a sample of at least two.

    One cause is a ReLU whose inputs have all become negative.
    """
    scores = model(sample.x.to(model.device), None if sample.lengths is None else sample.lengths.to(model.device))
    return len(scores) > 1 and bool((scores == scores[:1]).all())
