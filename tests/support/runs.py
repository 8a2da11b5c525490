"""Small trained runs for tests of export, proof and prediction."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import run_zoo
from tests.support.paths import SPECS


def build_run(folder: Path, architecture: str, *settings: str) -> Path:
    """Train a small network on the digits for two epochs, enough for weights that differ clearly from initial ones.

    Args:
        folder: parent folder of the run, which has the name of the architecture.
        architecture: name of the spec.
        settings: further arguments of ``--set``.
    """
    run = folder / architecture
    small = ("architecture.hidden_size=12", "training.epochs=2", *settings)
    changes = [argument for change in small for argument in ("--set", change)]
    outcome = run_zoo("build", SPECS / f"{architecture}.yaml", "--out", run, "--device", "cpu", *changes)
    assert outcome.exit_code == 0, outcome.stderr
    return run


def build_exported_run(folder: Path, architecture: str, *settings: str, lowering: str = "auto") -> Path:
    """Train a small network as `build_run` does, then export it and prove it on the CPU."""
    run = build_run(folder, architecture, *settings)
    outcome = run_zoo("export", run, "--onnx", "--provider", "cpu", "--lowering", lowering)
    assert outcome.exit_code == 0, outcome.stderr
    return run
