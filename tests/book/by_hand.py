"""The chapter's program against ours: the time that each needs for a test accuracy of 0.98 on MNIST.

The chapter's program has an LSTM cell that computes its input product anew at every step, plain SGD, and a DataLoader
over a TensorDataset, which collects each batch row by row. The programs run one after the other, each on one thread;
the time includes the evaluation after each epoch.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tests.support.paths import ROOT
from zoo.data.dataset import Dataset
from zoo.jobs.build import prepare
from zoo.library.progress import Silence
from zoo.plugins.registry import load_registry
from zoo.spec.spec import SpecReader
from zoo.training.checkpoint import CheckpointFolder
from zoo.training.distributed import Group
from zoo.training.engine import Engine
from zoo.training.progress import EpochRecord

TARGET_ACCURACY = 0.98
MAX_EPOCHS = 20
SETTINGS = ("architecture.num_layers=1", "training.epochs=3")
"""Changes to our recipe: a single layer, as in the chapter, and a shorter training."""


class _Cell(nn.Module):
    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.x2h, self.h2h = nn.Linear(inputs, 4 * hidden), nn.Linear(hidden, 4 * hidden)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden**-0.5), hidden**-0.5)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        gates = self.x2h(x) + self.h2h(h)
        i, f, g, o = gates.chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class _Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = _Cell(28, 128), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(len(x), 128)
        for step in range(x.shape[1]):
            h, c = self.cell(x[:, step], h, c)
        scores: Tensor = self.head(h)
        return scores


class _TargetReachedError(Exception):
    """Ends our training once the accuracy is reached."""


def measure() -> dict[str, Any]:
    """Seconds and epochs of both programs up to the accuracy, and the ratio of the seconds."""
    registry = load_registry()
    spec = SpecReader.of(registry).read(ROOT / "specs" / "book" / "mnist_lstm.yaml", SETTINGS)
    plan = prepare(spec, registry)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        zoo = _train_zoo(plan)
        chapter = _train_chapter(plan.dataset)
    finally:
        torch.set_num_threads(threads)
    ratio = zoo["seconds"] / chapter["seconds"]
    return {"accuracy": TARGET_ACCURACY, "theirs": chapter, "ours": zoo, "ratio": ratio}


def _train_zoo(plan: Any) -> dict[str, float]:
    epochs: list[EpochRecord] = []

    def after_epoch(record: EpochRecord) -> None:
        epochs.append(record)
        if record.validation["accuracy"] >= TARGET_ACCURACY:
            raise _TargetReachedError

    with TemporaryDirectory() as folder:
        engine = Engine(
            plan.model,
            plan.task,
            plan.dataset.train,
            plan.dataset.test,
            plan.spec.training,
            CheckpointFolder(Path(folder)),
            group=Group(),
            listener=Silence(),
            after_epoch=after_epoch,
        )
        try:
            engine.fit()
        except _TargetReachedError:
            return {"seconds": sum(record.seconds for record in epochs), "epochs": len(epochs)}
    raise RuntimeError(f"our training did not reach {TARGET_ACCURACY}")


def _train_chapter(dataset: Dataset) -> dict[str, float]:
    def parts(split: Any) -> TensorDataset:
        return TensorDataset(split.x.float() / 255 - 0.5, split.y)

    torch.manual_seed(0)
    model, loss = _Classifier(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    train = DataLoader(parts(dataset.train), batch_size=64, shuffle=True)
    test = DataLoader(parts(dataset.test), batch_size=64)
    began = time.perf_counter()
    for epoch in range(1, MAX_EPOCHS + 1):
        for x, y in train:
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
        with torch.no_grad():
            correct = sum(int((model(x).argmax(1) == y).sum()) for x, y in test)
        if correct / len(dataset.test) >= TARGET_ACCURACY:
            return {"seconds": time.perf_counter() - began, "epochs": epoch}
    raise RuntimeError(f"the chapter's program did not reach an accuracy of {TARGET_ACCURACY} in {MAX_EPOCHS} epochs")
