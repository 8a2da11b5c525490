"""(a) Export of two bidirectional layers against ``torch.onnx.export(dynamo=True)`` of the same model."""

from __future__ import annotations

import contextlib
import io
import itertools
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import zoo
from tests.benchmarks.interleave import compare
from tests.benchmarks.models import make_model
from zoo.exporting.exporter import Exporter
from zoo.nn.model import Model
from zoo.plugins.registry import load_registry
from zoo.runtime.session import OnnxSession
from zoo.timing import duration, interleave

EXPORTS = 100
REPEATS = 15
LOWERINGS: tuple[zoo.Lowering, ...] = ("auto", "native", "scan")


def main() -> None:
    print("\n(a) export, 2 layers bidirectional, hidden 64: ours / torch.onnx.export(dynamo=True)")
    exporter = load_registry().exporter("onnx")
    models = {name: _model(name) for name in ("rnn", "lstm", "gru", "bilstm")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        for name, model in models.items():
            zoo_export = partial(exporter.export, model, path, {}, zoo.ExportOptions())
            result = compare(zoo_export, partial(_torch_export, _PlainModel(name).eval()), rounds=3)
            print(f"    {name:<8}{result}   {1 / result.ratio.median:.0f} times faster")
        _by_lowering(exporter, models, path)
        _export_many(exporter, list(models.values()), path)


def _by_lowering(exporter: Exporter, models: dict[str, Model], path: Path) -> None:
    """Print the median time of each lowering, after a first export that loads the modules."""
    for name, model in models.items():
        sides = {
            lowering: partial(exporter.export, model, path, {}, zoo.ExportOptions(lowering=lowering))
            for lowering in LOWERINGS
        }
        taken = interleave(sides, REPEATS, warmup=1)
        print(f"    {name:<8}" + ", ".join(f"{side} {duration(median(times))}" for side, times in taken.items()))


def _model(name: str) -> Model:
    options: dict[str, Any] = {} if name == "bilstm" else {"direction": "bidirectional"}
    return make_model(name, 28, hidden_size=64, num_layers=2, **options)


class _PlainModel(nn.Module):
    """The same network, written with torch.nn alone."""

    def __init__(self, name: str) -> None:
        super().__init__()
        kind = {"rnn": nn.RNN, "gru": nn.GRU}.get(name, nn.LSTM)
        self.layers = kind(28, 64, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.layers(x)[0].mean(1))
        return scores


def _torch_export(model: nn.Module) -> None:
    free = {
        "x": {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
    }  # DYNAMIC raises, since the export fixes the time
    with contextlib.redirect_stdout(io.StringIO()):  # the exporter prints its progress
        torch.onnx.export(model, (torch.randn(3, 17, 28),), dynamo=True, dynamic_shapes=free, verbose=False)


def _export_many(exporter: Exporter, models: list[Model], path: Path) -> None:
    """Export the models in turn and print how many of the files run at two batch sizes and lengths."""
    began = time.perf_counter()
    dynamic = 0
    for model in itertools.islice(itertools.cycle(models), EXPORTS):
        exporter.export(model, path, {}, zoo.ExportOptions())
        session = OnnxSession(path, threads=1)
        shapes = [session.run(np.zeros((batch, steps, 28)))["logits"].shape for batch, steps in ((1, 3), (5, 40))]
        dynamic += shapes == [(1, 10), (5, 10)]
    each = (time.perf_counter() - began) / EXPORTS
    print(f"    {dynamic} of {EXPORTS} exports in one process run at two batch sizes and lengths; {each:.3f} s each")
