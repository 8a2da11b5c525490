"""(d) ONNX Runtime on the CPU against torch eager inference of the same fused model, one thread each."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import torch

import zoo
from tests.benchmarks.interleave import compare
from tests.benchmarks.models import make_model
from zoo.plugins import load_registry
from zoo.session import OnnxSession


def main() -> None:
    print("\n(d) inference, hidden 128, 28 features: ONNX Runtime CPU / torch eager (fused)")
    for name in ("rnn", "gru", "lstm", "bilstm"):
        _measure(name)


@torch.inference_mode()
def _measure(name: str) -> None:
    model = make_model(name, 28, hidden_size=128)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        load_registry().exporter("onnx").export(model, path, {}, zoo.ExportOptions())
        session = OnnxSession(path, threads=1)
    for batch, steps in ((1, 32), (1, 256), (32, 32), (32, 256)):
        x = torch.randn(batch, steps, 28)
        result = compare(partial(session.run, x.numpy()), partial(model.outputs, x), rounds=31, warmup=5)
        print(f"    {name:<8} batch {batch:>2}, {steps:>3} steps   {result}")
