"""PyTorch's own grid of recurrent exports, as in its tests of torch.onnx: 192 modules.

``python -m tests.exporters.grid`` exports all of them and prints a line for each; the exit code is 1 if any disagrees.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.exporters.modules import ROUNDINGS, SHAPES, export, worst_error

INPUT, HIDDEN = 5, 6
Packing = Literal["padded", "packed", "packed_batch_first"]


@dataclass(frozen=True)
class Case:
    """One module of the grid."""

    kind: Literal["tanh", "relu", "lstm", "gru"]
    layers: int
    bidirectional: bool
    states: bool
    """Whether the initial states are arguments."""
    packing: Packing
    dropout: float

    def __str__(self) -> str:
        directions = "both" if self.bidirectional else "forward"
        states = "states" if self.states else "zeros"
        return f"{self.kind}-{self.layers}-{directions}-{states}-{self.packing}-{self.dropout}"

    def net(self) -> nn.Module:
        """Return the module in inference mode."""
        torch.manual_seed(0)
        options: dict[str, Any] = {"num_layers": self.layers, "bidirectional": self.bidirectional}
        options |= {"dropout": self.dropout, "batch_first": self.packing == "packed_batch_first"}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "dropout option adds dropout")  # which one layer has none of
            if self.kind in ("tanh", "relu"):
                layer: nn.RNNBase = nn.RNN(INPUT, HIDDEN, nonlinearity=self.kind, **options)
            else:
                layer = (nn.LSTM if self.kind == "lstm" else nn.GRU)(INPUT, HIDDEN, **options)
        return (Plain(layer) if self.packing == "padded" else Packed(layer)).eval()

    def args(self, batch: int, steps: int) -> tuple[Any, ...]:
        """Return arguments of the module."""
        x = (
            torch.randn(batch, steps, INPUT)
            if self.packing == "packed_batch_first"
            else torch.randn(steps, batch, INPUT)
        )
        args: list[Any] = [x]
        if self.states:
            rows = self.layers * (1 + self.bidirectional)
            parts = tuple(torch.randn(rows, batch, HIDDEN) for _ in range(1 + (self.kind == "lstm")))
            args.append(parts if len(parts) > 1 else parts[0])
        if self.packing != "padded":
            args.append(torch.randint(min(2, steps), steps + 1, (batch,)).sort(descending=True)[0])
        return tuple(args)


class Plain(nn.Module):
    """A layer alone."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor, *rest: Any) -> Any:
        return self.layer(x, *rest)


class Packed(Plain):
    """A layer over packed sequences, sorted by their lengths."""

    def forward(self, x: Tensor, *rest: Any) -> Any:
        *states, lengths = rest
        packed = pack_padded_sequence(x, lengths, self.layer.batch_first)
        outputs, finals = self.layer(packed, *states)
        return pad_packed_sequence(outputs, self.layer.batch_first), finals


CASES = [
    Case(*options)  # type: ignore[arg-type]
    for options in product(
        ("tanh", "relu", "lstm", "gru"),
        (1, 3),
        (False, True),
        (False, True),
        ("padded", "packed", "packed_batch_first"),
        (0.0, 0.5),
    )
]


def judge(case: Case, folder: Path) -> float:
    """Export a module and return its worst error at all shapes, in roundings."""
    net, path = case.net(), folder / f"{case}.onnx"
    torch.manual_seed(1)
    export(net, case.args(*SHAPES[0]), path)
    return max(worst_error(net, path, case.args(*shape)) for shape in SHAPES)


def main() -> int:
    """Export all modules and return the exit code."""
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            error = judge(case, Path(folder))
            failures += not error <= ROUNDINGS
            print(f"{case}: {error:.1f} of {ROUNDINGS} roundings", flush=True)
    print(f"{len(CASES) - failures} of {len(CASES)} agree")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
