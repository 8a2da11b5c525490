"""What a result is worth: naive predictors judged by the same metrics, and answers that never change."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from zoo.data.dataset import Split
from zoo.nn.model import Model
from zoo.tasks.task import Task
from zoo.training.engine import score


def naive_metrics(task: Task, train: Split, part: Split) -> dict[str, dict[str, float]]:
    """The metrics of each of the task's baselines on ``part``, by name. Both parts on the CPU."""

    def judged(scores: Tensor) -> dict[str, float]:
        def taken(batch: Split, rows: Tensor | slice) -> Tensor:
            chosen = scores[rows]
            return chosen[:, : batch.x.shape[1]] if task.answers == "classes" else chosen

        return score(task, part, taken)[0]

    return {name: judged(scores) for name, scores in task.baselines(train, part).items()}


def not_beaten(
    task: Task, metric: str, found: Mapping[str, float], naive: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """The baselines that are at least as good as the metrics ``found``, by ``metric``."""
    sign = 1 if task.better[metric] == "higher" else -1
    return [name for name, metrics in naive.items() if sign * found[metric] <= sign * metrics[metric]]


@torch.inference_mode()
def has_constant_output(model: Model, sample: Split) -> bool:
    """Whether the model says the same of every sequence: a ReLU behind which nothing moves any more, for one."""
    scores = model(sample.x.to(model.device), None if sample.lengths is None else sample.lengths.to(model.device))
    return len(scores) > 1 and bool((scores == scores[:1]).all())
