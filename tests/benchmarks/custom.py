"""(f) What the export of a cell that names no operator costs, in a process of its own; and how large the file is."""

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
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        first, second, size = (float(word) for word in told.split())
        print(f"    {layers:>6}   {first:>10.2f} s   {second:>4.2f} s   {size / 1e3:>6.1f} kB")
    _sizes()


def _model(layers: int) -> Model:
    return make_model(MGUCell.name, hidden_size=128, num_layers=layers)


def _export(model: Model, path: Path, metadata: dict[str, str]) -> float:
    """Seconds of an export."""
    began = time.perf_counter()
    load_registry().exporter("onnx").export(model, path, metadata, ExportOptions(lowering="scan"))
    return time.perf_counter() - began


def _sizes() -> None:
    """The file of a run whose sequences are short, and of one whose sequences are long: the graph knows neither."""
    model = _model(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        for steps in TIMES:
            values = golden(model, sequences(draw(4, steps))).to_metadata()
            _export(model, path, values)
            whole, example = path.stat().st_size, sum(len(name) + len(value) for name, value in values.items())
            parts = f"{whole - example:,} bytes of graph and seal, {example:,} of golden input and output"
            print(f"    a run's sequences of {steps:>3} steps: {parts}")


def main_alone(layers: int) -> None:
    """The first export and the second one of this process, and the bytes of the file."""
    load_registry()
    model = _model(layers)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        print(_export(model, path, {}), _export(model, path, {}), path.stat().st_size)


if __name__ == "__main__":
    main_alone(int(sys.argv[1]))
