"""(e) Every lowering in ONNX Runtime on the CPU against torch eager, one thread each; updates exporters/README.md."""

from __future__ import annotations

import copy
import os
import platform
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor

import zoo
from tests.benchmarks.models import make_model
from tests.support.models import sequences
from tests.support.pages import replace_between
from tests.support.paths import ROOT
from zoo.plugins.registry import load_registry
from zoo.proof.golden_oracle import golden
from zoo.runtime.session import OnnxSession
from zoo.timing import Ratio, duration, interleave
from zoo.versions import versions

PAGE = ROOT / "exporters" / "README.md"
BEGIN, END = "<!-- made by python -m tests.benchmarks lowering -->", "<!-- end -->"
NAMES = {"lstm": "LSTM", "gru": "GRU", "rnn": "RNN", "rnn_relu": "RNN, ReLU"}
FEATURES, HIDDEN = 64, 128
BATCHES, TIMES = (1, 32), (32, 256)
ROUNDS, SECONDS = 101, 20.0

NATIVE, SCAN, UNROLLED, FUSED, CELL = "native", "scan", "unrolled", "torch fused", "torch cell"

Timings = Mapping[str, list[float]]
"""By candidate: seconds of each round."""
Results = Mapping[tuple[str, int, int], Timings]
"""By architecture, batch and time."""


class Target(NamedTuple):
    """Targeted ratio of the times of two candidates, for an LSTM."""

    numerator: str
    denominator: str
    batch: int
    time: int
    limit: str


TARGETS = (
    Target(SCAN, NATIVE, 32, 256, "at most 1.35"),
    Target(SCAN, NATIVE, 1, 256, "at most 2.2"),
    Target(CELL, SCAN, 1, 32, "at least 3"),
    Target(CELL, SCAN, 1, 256, "at least 3"),
    Target(CELL, SCAN, 32, 32, "at least 1.7"),
    Target(CELL, SCAN, 32, 256, "at least 1.7"),
    Target(FUSED, NATIVE, 1, 32, "at least 1.8"),
    Target(NATIVE, FUSED, 32, 32, "at most 1.1"),
    Target(NATIVE, FUSED, 32, 256, "at most 1.1"),
)


def main() -> None:
    print(f"\n(e) inference, {FEATURES} features, hidden {HIDDEN}: times the native operator's (quartiles)")
    results: dict[tuple[str, int, int], Timings] = {}
    for name, time in product(NAMES, TIMES):
        for batch, timings in _measure(name, time).items():
            results[name, batch, time] = timings
            ratios = [f"{side} {Ratio.of(timings[side], timings[NATIVE])}" for side in timings if side != NATIVE]
            shape = f"{name:<5} batch {batch:>2}, {time:>3} steps"
            print(f"    {shape}   {duration(median(timings[NATIVE]))}   {', '.join(ratios)}")
    print("    Targets for the LSTM:")
    for target in TARGETS:
        timings = results["lstm", target.batch, target.time]
        ratio = Ratio.of(timings[target.numerator], timings[target.denominator])
        shape = f"batch {target.batch}, {target.time} steps"
        print(f"    {f'{target.numerator} / {target.denominator}, {shape}':<46}{target.limit:<14}{ratio}")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), results, datetime.now(UTC).date()), encoding="utf-8")
    print(f"    {PAGE}: updated table")


@torch.inference_mode()
def _measure(name: str, time: int) -> dict[int, Timings]:
    """Time all candidates on sequences of ``time`` steps, by batch size."""
    architecture, _, nonlinearity = name.partition("_")
    options: dict[str, Any] = {"nonlinearity": nonlinearity} if nonlinearity else {}
    fused = make_model(architecture, FEATURES, hidden_size=HIDDEN, **options)
    cell = copy.deepcopy(fused)
    for layer in cell.layers():
        layer.fused = False
    with tempfile.TemporaryDirectory() as folder:
        files = {
            NATIVE: zoo.ExportOptions(lowering="native"),
            SCAN: zoo.ExportOptions(lowering="scan"),
            UNROLLED: zoo.ExportOptions(lowering="unrolled", steps=time),
        }
        sessions = {kind: _session(fused, Path(folder) / "model.onnx", options) for kind, options in files.items()}
    reference = golden(fused, sequences(torch.randn(2, time, FEATURES).numpy()), time)
    for kind, session in sessions.items():
        if fault := reference.fault(session.run(reference.x), "float32"):
            raise RuntimeError(f"{name}, {kind}: wrong result: {fault}")
    results: dict[int, Timings] = {}
    for batch in BATCHES:
        x = torch.randn(batch, time, FEATURES)
        candidates: dict[str, Callable[[], object]] = {
            **{kind: partial(session.run, x.numpy()) for kind, session in sessions.items()},
            FUSED: partial(_outputs, fused, x),
            CELL: partial(_outputs, cell, x),
        }
        results[batch] = interleave(candidates, ROUNDS, seconds=SECONDS)
    return results


def _session(model: zoo.Model, path: Path, options: zoo.ExportOptions) -> OnnxSession:
    load_registry().exporter("onnx").export(model, path, {}, options)
    return OnnxSession(path, threads=1)


def _outputs(model: zoo.Model, x: Tensor) -> object:
    return model.outputs(x)


def render(results: Results, day: date) -> str:
    """The table in Markdown, in the order of `NAMES`."""
    packages = ", ".join(f"{name} {versions()[name]}" for name in ("torch", "onnxruntime-gpu") if name in versions())
    others = [SCAN, UNROLLED, FUSED, CELL]
    lines = [
        f"Measured on {day} ({processor()}, {os.cpu_count()} cores shared; {packages}).",
        "",
        f"| | batch | steps | {NATIVE} | {' | '.join(others)} |",
        f"|---|---|---|---|{'---|' * len(others)}",
    ]
    for name, batch, time in sorted(results, key=lambda key: (list(NAMES).index(key[0]), key[1:])):
        timings = results[name, batch, time]
        ratios = " | ".join(str(Ratio.of(timings[other], timings[NATIVE])) for other in others)
        lines.append(f"| {NAMES[name]} | {batch} | {time} | {duration(median(timings[NATIVE]))} | {ratios} |")
    return "\n".join(lines)


def processor() -> str:
    """The name of the processor; its architecture where the system does not give a name."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def with_table(page: str, results: Results, day: date) -> str:
    """The page with a new table between its marks."""
    return replace_between(page, BEGIN, END, render(results, day))
