"""(g) Files of lower precision: error, size, latency, accuracy and verdict beside float32; a table in Markdown."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tests.cells import CELLS
from tests.support.paths import SPECS
from zoo.exporting.exporter import SHORT, ExportOptions
from zoo.jobs.build import build, prepare
from zoo.jobs.export import export
from zoo.library.progress import Silence
from zoo.plugins.architecture import make_architecture
from zoo.plugins.registry import Registry, load_registry
from zoo.proof.prove import ProviderRequest
from zoo.run.run import Run
from zoo.spec.spec import SpecReader
from zoo.training.distributed import Group

BUILT_IN = ("rnn", "lstm", "gru", "bilstm")
CUSTOM = ("mgu", "layer_norm_lstm")
HIDDEN, EPOCHS = 64, 12


def main() -> None:
    print(f"\n(g) lower precision: digits, hidden {HIDDEN}, {EPOCHS} epochs; beside the float32 file, on the CPU\n")
    print("| | precision | proof | error / budget | same label | size | batch 1 | batch 32 | accuracy | verdict |")
    print(f"|{'---|' * 10}")
    registry = load_registry()
    registry.architectures.update({name: make_architecture(CELLS[name]) for name in CUSTOM})
    with tempfile.TemporaryDirectory() as folder:
        for name in (*BUILT_IN, *CUSTOM):
            run = _train(name, registry, Path(folder) / name)
            for precision in SHORT:
                options = ExportOptions(precision=precision)
                exporter = registry.exporter("onnx")
                *_, (_, report) = export(run, registry, exporter, ProviderRequest(("cpu",)), options, lambda *_: None)
                print(_line(name, SHORT[precision], report), flush=True)


def _train(name: str, registry: Registry, folder: Path) -> Run:
    base = name if name in BUILT_IN else "rnn"
    changes = [f"architecture.name={name}", f"architecture.hidden_size={HIDDEN}", f"training.epochs={EPOCHS}"]
    spec = SpecReader.of(registry).read(SPECS / f"{base}.yaml", changes)
    run = Run(folder)
    build(prepare(spec, registry), run, registry, torch.device("cpu"), Group(), Silence(), print)
    return run


def _line(name: str, precision: str, report: Mapping[str, Any]) -> str:
    (result,) = report["providers"]
    over = max(output["over_budget"] for output in result["outputs"])
    limit = f" up to {result['judged_steps']} steps" if "judged_steps" in result else ""
    start = f"| {name} | {precision} | {report['verdict']}{limit} | {over:.2f} |"
    comparison = report.get("against_float32")
    if comparison is None:
        return f"{start} {'; '.join(report['reasons'])} |"
    cells = [
        f"{comparison['agreement']:.2%}",
        f"{comparison['size_ratio']:.2f}",
        *(f"{item['ratio']:.2f} ({item['low']:.2f}..{item['high']:.2f})" for item in comparison["latency"]),
        " -> ".join(f"{comparison['metrics'][file]['accuracy']:.3f}" for file in ("float32", "this")),
        comparison["verdict"].rpartition(": ")[2],
    ]
    return f"{start} {' | '.join(cells)} |"
