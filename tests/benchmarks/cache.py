"""(u) Data beyond memory: an epoch from the memory-mapped cache against memory, and the peak memory of a large file.

``python -m tests.benchmarks.cache 6`` measures a CSV file of 6 GB; it takes 30 GB of disk.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tests.benchmarks.interleave import Result
from zoo.data.dataset import Dataset
from zoo.data.sources.series import Series
from zoo.library.progress import Silence
from zoo.plugins.architecture import build_model
from zoo.plugins.registry import load_registry
from zoo.timing import Ratio, duration
from zoo.training.checkpoint import CheckpointFolder
from zoo.training.config import AdamW, TrainingConfig
from zoo.training.distributed import Group
from zoo.training.engine import Engine
from zoo.training.interrupts import Interrupts

COLUMNS, WINDOW, BATCH = 64, 24, 128
GIGABYTES = 0.5
ROUNDS = 7


def main(gigabytes: float = GIGABYTES) -> None:
    print(f"\n(u) data beyond memory: windows of {WINDOW} rows x {COLUMNS} columns from a CSV file")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        small, large = Path(folder) / "small.csv", Path(folder) / "large.csv"
        write_numbers(small, 0.005)
        print(f"    an epoch, CPU time, cache / memory          {_epochs(small)}")
        write_numbers(large, gigabytes)
        for cache in ("true", "false")[: 2 if gigabytes <= 1 else 1]:
            command = [sys.executable, "-m", "tests.benchmarks.cache", str(large), cache]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            print(f"    {large.stat().st_size / 1e9:.1f} GB, cache: {cache:<5}   {printed}", end="")


def write_numbers(path: Path, gigabytes: float) -> None:
    """Write random numbers with dates until a file has a size; the rows repeat, since drawing takes long."""
    draw = np.random.default_rng(0).standard_normal((5_000, COLUMNS))
    rows = [",".join(f"{value:.4f}" for value in row) for row in draw]
    start, count = np.datetime64("2000-01-01T00:00:00"), 0
    with path.open("w") as file:
        file.write(",".join(["date", *(f"sensor {number}" for number in range(COLUMNS))]) + "\n")
        while file.tell() < gigabytes * 1e9:
            dates = np.datetime_as_string(start + np.arange(count, count + len(rows)) * np.timedelta64(60, "s"))
            file.writelines(f"{date},{row}\n" for date, row in zip(dates.tolist(), rows, strict=True))
            count += len(rows)


def _load(path: Path, cache: bool) -> Dataset:
    config = Series.Config(file=str(path), targets=("sensor 3",), window=WINDOW, cache=cache)
    return Series().load(config)


def _epoch(dataset: Dataset, folder: str) -> Callable[[], None]:
    """Return a function that trains an epoch."""
    registry = load_registry()
    architecture = registry.architectures["gru"]
    task = registry.tasks["forecasting"](registry.tasks["forecasting"].Config(), dataset.signature)
    config = architecture.config.model_validate({"name": "gru", "hidden_size": 32})
    torch.manual_seed(0)
    model = build_model(architecture.layer, config, None, task)
    engine = Engine(
        model,
        task,
        dataset.train,
        dataset.validation,
        TrainingConfig(epochs=1000, batch_size=BATCH, optimizer=AdamW(name="adamw", lr=1e-3)),
        CheckpointFolder(Path(folder)),
        group=Group(),
        listener=Silence(),
        after_epoch=lambda _: None,
    )

    def epoch() -> None:
        with Interrupts() as interrupts:
            engine.train_epoch(model, interrupts)
        engine.progress.step = 0

    return epoch


def _epochs(path: Path) -> Result:
    """Compare the CPU times of epochs in turn."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        epochs = {cache: _epoch(_load(path, cache), folder) for cache in taken}
        for number in range(ROUNDS + 1):
            for cache, epoch in epochs.items():
                began = time.process_time()
                epoch()
                if number:  # the first one warms up
                    taken[cache].append(time.process_time() - began)
    median = {cache: float(np.median(times)) for cache, times in taken.items()}
    return Result(median[True], median[False], Ratio.of(taken[True], taken[False]))


def child(path: Path, cache: bool) -> None:
    """Read a file and take every training batch once, in random order; print CPU time and peak memory."""
    torch.set_num_threads(1)
    dataset = _load(path, cache)
    loaded, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for rows in torch.randperm(len(dataset.train)).split(BATCH):
        dataset.train.take(rows)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    batches = duration(time.process_time() - loaded)
    print(
        f"{duration(loaded)} CPU to read, peak {peak / 1e6:.2f} GB; {batches} for all batches of "
        f"{len(dataset.train):,} windows, peak {largest / 1e6:.2f} GB"
    )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        child(Path(sys.argv[1]), sys.argv[2] == "true")
    else:
        torch.set_num_threads(1)
        main(*map(float, sys.argv[1:]))
