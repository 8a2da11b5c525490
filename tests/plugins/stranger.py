"""An external plugin that implements every hook, with public names alone.

The cell is the minimal gated unit; it has neither a projection nor a kernel nor an operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

import zoo

ENTRY_POINTS = {
    "mgu": "tests.plugins.stranger",
    "bimgu": "tests.plugins.stranger",
    "data.waves": "tests.plugins.stranger",
    "task.sign": "tests.plugins.stranger",
    "exporter.text": "tests.plugins.stranger",
    "observer.notes": "tests.plugins.stranger",
}

NOTES: list[zoo.EpochRecord] = []
"""The records that the observer received."""


class MGUCell(zoo.Cell):
    """Minimal gated unit (Zhou et al. 2016, arXiv:1603.09420, equations 6 to 8)."""

    name = "mgu"

    class Config(zoo.CellConfig):
        forget_bias: float = 1.0
        """Where the forget gate starts."""

    def __init__(self, input_size: int, config: Config) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden,), output_size=hidden)
        self.forget = nn.Linear(input_size + hidden, hidden)
        self.candidate = nn.Linear(input_size + hidden, hidden)
        nn.init.constant_(self.forget.bias, config.forget_bias)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        (h,) = state
        f = torch.sigmoid(self.forget(torch.cat([x, h], 1)))
        h = (1 - f) * h + f * torch.tanh(self.candidate(torch.cat([x, f * h], 1)))
        return h, (h,)


class BiMGU(zoo.Layer):
    """The minimal gated unit in both directions."""

    name = "bimgu"
    cell = MGUCell
    fixed_direction: ClassVar[zoo.Direction] = "bidirectional"


class Waves(zoo.DataSource):
    """Straight lines that rise or fall."""

    name = "waves"

    class Config(zoo.Config):
        count: zoo.Size = 12
        """Sequences in each part."""

    def load(self, config: zoo.Config) -> zoo.Dataset:
        assert isinstance(config, Waves.Config)
        y = torch.arange(config.count) % 2
        x = (torch.linspace(-1, 1, 5)[None, :] * (2 * y[:, None] - 1))[:, :, None]
        split = zoo.Split(x, y)
        signature = zoo.Signature(features=1, labels=("falling", "rising"), input_scale=zoo.standardisation(x))
        return zoo.Dataset(split, split, split, signature, "Lines.")


class Sign(zoo.Task):
    """Two classes by the sign of one score. Its statistics have no confusion matrix."""

    name = "sign"
    answers = "class"
    better: ClassVar[dict[str, Literal["higher", "lower"]]] = {"accuracy": "higher", "loss": "lower"}

    @property
    def outputs(self) -> int:
        return 1

    def readout(self) -> nn.Module:
        return nn.Identity()

    def loss(self, scores: Tensor, target: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(scores[:, 0], target.to(scores.dtype))

    def statistics(self, scores: Tensor, target: Tensor) -> zoo.Statistics:
        correct = (scores[:, 0] > 0).long() == target
        return {
            "loss": self.loss(scores, target) * len(target),
            "correct": correct.sum(),
            "count": torch.tensor(len(target)),
        }

    def metrics(self, statistics: zoo.Statistics) -> dict[str, float]:
        count = float(statistics["count"])
        return {"loss": float(statistics["loss"]) / count, "accuracy": float(statistics["correct"]) / count}


class Text(zoo.Exporter):
    """Writes the model's repr as text."""

    name = "text"
    suffix = ".txt"

    def export(self, model: zoo.Model, path: Path, metadata: Mapping[str, str], options: zoo.ExportOptions) -> None:
        path.write_text(str(model))

    def annotate(self, path: Path, metadata: Mapping[str, str]) -> None:
        path.write_text(path.read_text() + str(metadata))

    def faults(self, path: Path) -> list[str]:
        return []

    def inspect(self, path: Path) -> zoo.GraphSummary:
        return zoo.GraphSummary({"characters": str(len(path.read_text()))}, {}, {}, [])


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.Cell]]:
    return [MGUCell]


@zoo.hookimpl
def zoo_register_layers() -> list[type[zoo.Layer]]:
    return [BiMGU]


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    return [Waves]


@zoo.hookimpl
def zoo_register_tasks() -> list[type[zoo.Task]]:
    return [Sign]


@zoo.hookimpl
def zoo_register_exporters() -> tuple[type[zoo.Exporter], ...]:
    return (Text,)


@zoo.hookimpl
def zoo_after_epoch(record: zoo.EpochRecord) -> None:
    NOTES.append(record)
