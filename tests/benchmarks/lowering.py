"""(e) Every lowering in ONNX Runtime on the CPU against torch eager, one thread each; rewrites exporters/README.md."""

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

Taken = Mapping[str, list[float]]
"""The seconds of each candidate, round by round."""
Places = Mapping[tuple[str, int, int], Taken]
"""By architecture, batch and time."""


class Figure(NamedTuple):
    """Something to be reached by an LSTM: how many times one candidate takes what another takes."""

    one: str
    other: str
    batch: int
    time: int
    target: str


FIGURES = (
    Figure(SCAN, NATIVE, 32, 256, "at most 1.35"),
    Figure(SCAN, NATIVE, 1, 256, "at most 2.2"),
    Figure(CELL, SCAN, 1, 32, "at least 3"),
    Figure(CELL, SCAN, 1, 256, "at least 3"),
    Figure(CELL, SCAN, 32, 32, "at least 1.7"),
    Figure(CELL, SCAN, 32, 256, "at least 1.7"),
    Figure(FUSED, NATIVE, 1, 32, "at least 1.8"),
    Figure(NATIVE, FUSED, 32, 32, "at most 1.1"),
    Figure(NATIVE, FUSED, 32, 256, "at most 1.1"),
)


def main() -> None:
    print(f"\n(e) inference, {FEATURES} features, hidden {HIDDEN}: times the native operator's (quartiles)")
    found: dict[tuple[str, int, int], Taken] = {}
    for name, time in product(NAMES, TIMES):
        for batch, taken in _measure(name, time).items():
            found[name, batch, time] = taken
            told = [f"{one} {Ratio.of(seconds, taken[NATIVE])}" for one, seconds in taken.items() if one != NATIVE]
            place = f"{name:<5} batch {batch:>2}, {time:>3} steps"
            print(f"    {place}   {duration(median(taken[NATIVE]))}   {', '.join(told)}")
    print("    To be reached by the LSTM:")
    for figure in FIGURES:
        taken = found["lstm", figure.batch, figure.time]
        ratio = Ratio.of(taken[figure.one], taken[figure.other])
        place = f"batch {figure.batch}, {figure.time} steps"
        print(f"    {f'{figure.one} / {figure.other}, {place}':<46}{figure.target:<14}{ratio}")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), found, datetime.now(UTC).date()), encoding="utf-8")
    print(f"    {PAGE}: the same as a table")


@torch.inference_mode()
def _measure(name: str, time: int) -> dict[int, Taken]:
    """All candidates at sequences of ``time`` steps, by batch."""
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
    known = golden(fused, sequences(torch.randn(2, time, FEATURES).numpy()), time)
    for kind, session in sessions.items():
        if fault := known.fault(session.run(known.x), "float32"):
            raise RuntimeError(f"{name}, {kind}: fast and wrong: {fault}")
    found: dict[int, Taken] = {}
    for batch in BATCHES:
        x = torch.randn(batch, time, FEATURES)
        candidates: dict[str, Callable[[], object]] = {
            **{kind: partial(session.run, x.numpy()) for kind, session in sessions.items()},
            FUSED: partial(_outputs, fused, x),
            CELL: partial(_outputs, cell, x),
        }
        found[batch] = interleave(candidates, ROUNDS, seconds=SECONDS)
    return found


def _session(model: zoo.Model, path: Path, options: zoo.ExportOptions) -> OnnxSession:
    load_registry().exporter("onnx").export(model, path, {}, options)
    return OnnxSession(path, threads=1)


def _outputs(model: zoo.Model, x: Tensor) -> object:
    return model.outputs(x)


def render(found: Places, day: date) -> str:
    """The table in Markdown."""
    packages = ", ".join(f"{name} {versions()[name]}" for name in ("torch", "onnxruntime-gpu") if name in versions())
    others = [SCAN, UNROLLED, FUSED, CELL]
    lines = [
        f"Measured on {day} ({processor()}, {os.cpu_count()} cores shared; {packages}).",
        "",
        f"| | batch | steps | {NATIVE} | {' | '.join(others)} |",
        f"|---|---|---|---|{'---|' * len(others)}",
    ]
    for (name, batch, time), taken in sorted(found.items(), key=lambda one: (list(NAMES).index(one[0][0]), one[0][1:])):
        ratios = " | ".join(str(Ratio.of(taken[other], taken[NATIVE])) for other in others)
        lines.append(f"| {NAMES[name]} | {batch} | {time} | {duration(median(taken[NATIVE]))} | {ratios} |")
    return "\n".join(lines)


def processor() -> str:
    """The processor's name, where the system tells it."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def with_table(page: str, found: Places, day: date) -> str:
    """The page with a new table between its marks."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE}: lacks the marks {BEGIN!r} and {END!r}")
    return f"{head}{BEGIN}\n\n{render(found, day)}\n\n{END}{tail}"
