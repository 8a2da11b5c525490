"""Progress of a training: completed steps and epochs, and the conversion to and from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from zoo.nn.model import Model
from zoo.training.checkpoint import Checkpoint

TRAIN_LOSS = "train_loss"
"""The ``training.metric`` that selects the best weights by the training loss instead of a validation metric."""


@dataclass(frozen=True)
class EpochRecord:
    """Result of one epoch: one line of ``metrics.jsonl``."""

    epoch: int
    """Number of the epoch, from 1."""
    train_loss: float
    """Mean loss over the rows of the epoch, each with the weights at its own step."""
    validation: dict[str, float]
    """Validation metrics by name, ``loss`` among them."""
    lr: float
    """Learning rate of the last step."""
    seconds: float
    """Duration of the epoch in seconds, evaluation included."""
    best: bool
    """Whether these weights are the best so far: by the metric, then the validation loss, then the later epoch."""

    def value_of(self, metric: str) -> float:
        """Return a validation metric, or the training loss for ``train_loss``."""
        return self.train_loss if metric == TRAIN_LOSS else self.validation[metric]


@dataclass
class Progress:
    """Position and history of a training: its whole state except weights, optimiser slots and losses."""

    epoch: int = 0
    """Completed epochs."""
    step: int = 0
    """Completed steps of the current epoch. It stays at the number of all steps until the epoch is evaluated."""
    seconds: float = 0.0
    """Seconds that earlier processes spent in the current epoch."""
    history: list[EpochRecord] = field(default_factory=list)
    """One record for each completed epoch."""


def to_checkpoint(
    progress: Progress, model: Model, optimizer: Optimizer, best: Mapping[str, Tensor], losses: Tensor
) -> Checkpoint:
    """Collect the complete state of a training in a checkpoint.

    Args:
        progress: completed epochs and steps.
        model: current weights.
        optimizer: optimiser of these weights.
        best: state_dict of the best epoch so far; empty before the first epoch ends.
        losses: (steps,) summed loss of each step of the current epoch.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    tensors |= {
        f"optimizer.{index}.{name}": value
        for index, slots in optimizer.state_dict()["state"].items()
        for name, value in slots.items()
        if value is not None  # SGD without momentum keeps an empty slot
    }
    tensors["losses"] = losses
    return Checkpoint(tensors, asdict(progress))


def from_checkpoint(
    checkpoint: Checkpoint, model: Model, optimizer: Optimizer, losses: Tensor
) -> tuple[Progress, dict[str, Tensor]]:
    """Load a checkpoint into a model, its optimiser and the losses of the epoch; return the progress and best weights.

    Raises:
        KeyError, RuntimeError, TypeError, ValueError: the checkpoint belongs to another model, dataset or training.
    """
    state: dict[str, Any] = dict(checkpoint.state)
    state["history"] = [EpochRecord(**record) for record in state["history"]]
    model.load_state_dict(_with_prefix("model.", checkpoint.tensors))
    losses.copy_(checkpoint.tensors["losses"])
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in _with_prefix("optimizer.", checkpoint.tensors).items():
        index, _, name = key.partition(".")
        slots.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
    best = {name: value.to(model.device) for name, value in _with_prefix("best.", checkpoint.tensors).items()}
    return Progress(**state), best


def _with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Select the tensors whose names start with a prefix, under the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
