"""(h) Cost of the proof: CPU seconds and peak memory, and their growth beside the model's own work.

Each measurement runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, Self

import torch

import zoo
from tests.support.models import draw, make_model, sequences, write
from zoo.nn.cell_trial import in_float64
from zoo.proof.cases import draw_cases
from zoo.proof.expectations import Expectations
from zoo.proof.inputs import Input
from zoo.proof.prove import prove

ROWS = 4
"""Sequences of each input of the growth table; there are two inputs."""
HIDDEN, LAYERS, STEPS = (32, 64, 128, 256, 512, 1024), (1, 2, 3, 4), (50, 100, 200, 500, 1000, 2000)


class Setting(NamedTuple):
    """A bidirectional LSTM with fresh weights and 8 features, and a number of steps; 0 for a whole proof."""

    hidden: int = 64
    layers: int = 1
    steps: int = 50

    def model(self) -> zoo.Model:
        return make_model("lstm", hidden_size=self.hidden, num_layers=self.layers, direction="bidirectional")


class Cost(NamedTuple):
    """Cost of one measurement."""

    seconds: float
    """CPU seconds."""
    own: float
    """CPU seconds of the model's own work: one run of the different sequences in float64, in the cell's steps."""
    peak: float
    """Largest resident memory of the process, in MB."""

    @classmethod
    def of(cls, setting: Setting) -> Self:
        """Measure in a process of its own."""
        command = [sys.executable, "-m", "tests.benchmarks.proof", *map(str, setting)]
        return cls(*json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))

    def __str__(self) -> str:
        ratio = f"{self.seconds / self.own:8.1f}" if self.own else 8 * " "
        return f"{self.seconds:8.2f} s {ratio} {self.peak:8.0f} MB"


def main() -> None:
    print("\n(h) the proof: CPU seconds / seconds of one float64 run of the same sequences / peak memory")
    print(f"    proof of a biLSTM, 3 layers of 512 units  {Cost.of(Setting(512, 3, 0))}")
    print(f"    zoo export of the digits biLSTM           {_digits()}")
    for values, field in ((HIDDEN, "hidden"), (LAYERS, "layers"), (STEPS, "steps")):
        for value in values:
            cost = Cost.of(Setting()._replace(**{field: value}))
            print(f"    exact results, {field:6} {value:5}                {cost}")


def _digits() -> Cost:
    """Measure the whole command, after a build of three epochs."""
    with tempfile.TemporaryDirectory() as folder:
        run = f"{folder}/run"
        zoo_ = (sys.executable, "-m", "zoo")
        build = [*zoo_, "build", "specs/bilstm.yaml", "--out", run, "--set", "training.epochs=3"]
        subprocess.run(build, check=True, capture_output=True)
        code = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True); "
            "used = resource.getrusage(resource.RUSAGE_CHILDREN); "
            "print([used.ru_utime + used.ru_stime, 0.0, used.ru_maxrss / 1024])"
        )
        command = [sys.executable, "-c", code, *zoo_, "export", "--onnx", run]
        return Cost(*json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def measure(setting: Setting) -> Cost:
    """Measure in this process."""
    torch.set_num_threads(1)
    model = setting.model()
    if setting.steps:
        cases = list(draw_cases(draw(64, 8), shapes=[(ROWS, setting.steps)]))
        expectations = Expectations(model, cases)
        Expectations(model, list(draw_cases(draw(64, 8), shapes=[(1, 2)]))).at("float32")  # what the first run prepares
        began = time.process_time()
        expectations.at("float32")
        seconds = time.process_time() - began
        own = _own_work(model, [Input(case.x) for case in cases])
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = write(model, Path(folder))
            began = time.process_time()
            prove(model, path, sequences(draw(64, 8)), ["cpu"], [], lambda *_: None)
            seconds, own = time.process_time() - began, 0.0
    return Cost(seconds, own, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _own_work(model: zoo.Model, inputs: list[Input]) -> float:
    """Return the CPU seconds of one run of the inputs in float64, in the cells' steps."""
    model.double()
    for layer in model.layers():
        layer.fused = False
    x = torch.cat([torch.from_numpy(item.x) for item in inputs]).double()
    with in_float64(), torch.no_grad():
        began = time.process_time()
        model.outputs(x)
        return time.process_time() - began


if __name__ == "__main__":
    print(json.dumps(measure(Setting(*map(int, sys.argv[1:])))))
