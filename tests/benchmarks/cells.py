"""(c) ``implementation: cell`` against ``fused``: forward and backward pass."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tests.benchmarks.interleave import compare
from tests.benchmarks.models import make_model
from zoo.nn.model import Model

SHAPES = ((64, 28), (32, 128))


def main() -> None:
    print("\n(c) forward and backward, hidden 128: cell / fused")
    for name in ("rnn", "gru", "lstm"):
        _measure(name)
    print("    The fused LSTM above is oneDNN's. Against torch's own, which runs where oneDNN is not available:")
    with torch.backends.mkldnn.flags(enabled=False):
        _measure("lstm")


def _measure(name: str) -> None:
    cell, fused = (make_model(name, 28, hidden_size=128, implementation=kind).train() for kind in ("cell", "fused"))
    for batch, steps in SHAPES:
        x = torch.randn(batch, steps, 28)
        result = compare(_step(cell, x), _step(fused, x), rounds=25, warmup=3)
        print(f"    {name:<5} batch {batch}, {steps:>3} steps   {result}")


def _step(model: Model, x: Tensor) -> Callable[[], None]:
    def step() -> None:
        model.zero_grad()
        model(x).sum().backward()

    return step
