"""Small trainings on the digits, without a spec or a command."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from torch import Tensor

import zoo
from tests.support.models import make_model
from zoo.plugins.registry import load_registry
from zoo.training.checkpoint import CheckpointFolder
from zoo.training.config import TrainingConfig
from zoo.training.distributed import Group
from zoo.training.engine import Engine


@cache
def digits() -> zoo.Dataset:
    return load_registry().data["digits"]().load(zoo.Config())


def classification() -> zoo.Task:
    return load_registry().tasks["classification"](zoo.Config(), digits().signature)


def rows(split: zoo.Split, count: int) -> zoo.Split:
    """Return the first rows of a split."""
    return zoo.Split(split.x[:count], split.y[:count])


class Recorder:
    """Listener that records the reports of an engine."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int, float]] = []
        """Epoch, step and loss of each report."""
        self.records: list[zoo.EpochRecord] = []

    def step(self, epoch: int, step: int, loss: float) -> None:
        self.steps.append((epoch, step, loss))

    def epoch(self, record: zoo.EpochRecord) -> None:
        self.records.append(record)


def make_engine(
    folder: Path,
    *,
    model: zoo.Model | None = None,
    task: zoo.Task | None = None,
    train: zoo.Split | None = None,
    listener: Recorder | None = None,
    after_epoch: Callable[[zoo.EpochRecord], None] = lambda _: None,
    **training: object,
) -> Engine:
    """Create an engine that trains a model, by default a GRU on 200 digits, with checkpoints in ``folder``.

    Args:
        training: fields of a spec's ``training``.
    """
    return Engine(
        model or make_model("gru_after", hidden_size=12),
        task or classification(),
        train or rows(digits().train, 200),
        rows(digits().validation, 100),
        TrainingConfig.model_validate({"epochs": 3, **training}),
        CheckpointFolder(folder),
        group=Group(),
        listener=listener or Recorder(),
        after_epoch=after_epoch,
    )


def weights(model: zoo.Model) -> dict[str, Tensor]:
    """Return a copy of the parameters by name."""
    return {name: value.detach().clone() for name, value in model.named_parameters()}
