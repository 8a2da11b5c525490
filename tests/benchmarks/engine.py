"""(b) A training step of the engine against a bare torch loop over the same tensors: GRU 128, batch 64, 28 steps."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from tests.benchmarks.interleave import compare
from tests.benchmarks.mnist_loop import BATCH, LR, MEAN, STD, bare_epoch
from tests.benchmarks.models import make_model
from zoo.data.dataset import Split
from zoo.data.signature import Signature
from zoo.library.progress import Silence
from zoo.plugins.registry import load_registry
from zoo.tasks.task import TaskConfig
from zoo.training.checkpoint import CheckpointFolder
from zoo.training.config import AdamW, TrainingConfig
from zoo.training.distributed import Group
from zoo.training.engine import Engine
from zoo.training.interrupts import Interrupts

ROWS = 40 * BATCH


def main() -> None:
    print("\n(b) one training step, GRU 128, batch 64, 28 steps: engine / bare torch loop")
    x = torch.randint(0, 256, (ROWS, 28, 28), dtype=torch.uint8)
    y = torch.randint(0, 10, (ROWS,))
    bare = bare_epoch(x, y)
    with tempfile.TemporaryDirectory() as folder:
        config = TrainingConfig(epochs=1000, batch_size=BATCH, optimizer=AdamW(name="adamw", lr=LR), clip_norm=1.0)
        model = make_model("gru", 28, mean=MEAN, std=STD, hidden_size=128, implementation="fused")
        engine = Engine(
            model,
            load_registry().tasks["classification"](TaskConfig(), Signature(features=28, labels=tuple("0123456789"))),
            Split(x, y),
            Split(x, y),
            config,
            CheckpointFolder(Path(folder)),
            group=Group(),
            listener=Silence(),
            after_epoch=lambda _: None,
        )

        def zoo_epoch() -> None:
            with Interrupts() as interrupts:
                engine.train_epoch(model, interrupts)
            engine.progress.step = 0

        print(f"    {compare(zoo_epoch, bare, rounds=15)}   per {ROWS // BATCH} steps")
