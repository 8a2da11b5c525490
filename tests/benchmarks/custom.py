"""(f) Time and file size of the export of a cell without an operator, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.cells.mgu import MGUCell
from tests.support.models import draw, make_model, sequences
from zoo.exporting.exporter import ExportOptions
from zoo.nn.model import Model
from zoo.plugins.registry import load_registry
from zoo.proof.golden_oracle import golden

LAYERS = (1, 2, 4)
TIMES = (8, 512)


def main() -> None:
    print("\n(f) export of a custom cell (MGU, hidden 128) as Scan, in a process of its own")
    print("    layers   first export   second        file")
    for layers in LAYERS:
        command = [sys.executable, "-m", "tests.benchmarks.custom", str(layers)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        first, second, size = (float(word) for word in printed.split())
        print(f"    {layers:>6}   {first:>10.2f} s   {second:>4.2f} s   {size / 1e3:>6.1f} kB")
    _sizes()


def _model(layers: int) -> Model:
    return make_model(MGUCell.name, hidden_size=128, num_layers=layers)


def _export(model: Model, path: Path, metadata: dict[str, str]) -> float:
    """Export the model and return the seconds that it took."""
    began = time.perf_counter()
    load_registry().exporter("onnx").export(model, path, metadata, ExportOptions(lowering="scan"))
    return time.perf_counter() - began


def _sizes() -> None:
    """Print the file sizes of runs with short and with long sequences; the size of the graph is the same."""
    model = _model(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        for steps in TIMES:
            values = golden(model, sequences(draw(4, steps))).to_metadata()
            _export(model, path, values)
            total, example = path.stat().st_size, sum(len(name) + len(value) for name, value in values.items())
            parts = f"{total - example:,} bytes of graph and seal, {example:,} of golden input and output"
            print(f"    run with sequences of {steps:>3} steps: {parts}")


def print_exports(layers: int) -> None:
    """Print the seconds of the first and the second export of this process, and the bytes of the file."""
    load_registry()
    model = _model(layers)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        print(_export(model, path, {}), _export(model, path, {}), path.stat().st_size)


if __name__ == "__main__":
    print_exports(int(sys.argv[1]))
