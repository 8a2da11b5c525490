"""Small trained runs for tests of export, proof and prediction."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import run_zoo
from tests.support.paths import SPECS


def build_run(folder: Path, architecture: str, *settings: str) -> Path:
    """Train a small network on the digits for two epochs: enough for weights that are nobody's first draw.

    Args:
        folder: where to put the run, under the architecture's name.
        architecture: the spec to start from.
        settings: further changes, each as ``--set`` takes it.
    """
    run = folder / architecture
    small = ("architecture.hidden_size=12", "training.epochs=2", *settings)
    changes = [argument for change in small for argument in ("--set", change)]
    outcome = run_zoo("build", SPECS / f"{architecture}.yaml", "--out", run, "--device", "cpu", *changes)
    assert outcome.exit_code == 0, outcome.stderr
    return run


def build_exported_run(folder: Path, architecture: str, *settings: str, lowering: str = "auto") -> Path:
    """The same, exported and proven on the CPU."""
    run = build_run(folder, architecture, *settings)
    outcome = run_zoo("export", run, "--onnx", "--provider", "cpu", "--lowering", lowering)
    assert outcome.exit_code == 0, outcome.stderr
    return run
