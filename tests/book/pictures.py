"""Figures and pictures of system 9, the reach of gradients, and of system 10, the cells side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.book.plan import CELLS, SEEDS

Zoo = Callable[..., str]
"""Runs a zoo command and returns its standard output."""

ADDING = [f"adding_{cell}-100-0" for cell in CELLS]
TEXT = [f"text_{cell}-{seed}" for cell in CELLS for seed in SEEDS[:3]]


def gradients(zoo: Zoo, runs: Path, pictures: Path) -> dict[str, dict[str, float]]:
    """By weights (trained, untrained), then cell and state: the gradient's norm at the first step over the last."""
    ratios = {}
    for weights, flags in (("trained", ()), ("untrained", ("--untrained",))):
        out = pictures / f"gradients_{weights}.png"
        report = json.loads(zoo("gradients", *(str(runs / run) for run in ADDING), *flags, "--out", str(out), "--json"))
        ratios[weights] = {
            f"{cell} {state['state']}": state["ratio"]
            for cell, run in zip(CELLS, report["runs"], strict=True)
            for state in run["states"]
        }
    return ratios


def comparison(zoo: Zoo, runs: Path, pictures: Path) -> list[dict[str, Any]]:
    """The figures of `zoo compare` for the text classifiers, one row for each cell."""
    out = pictures / "compare.png"
    report = json.loads(zoo("compare", *(str(runs / run) for run in TEXT), "--out", str(out), "--json"))
    kept = ("architecture", "seeds", "parameters", "mean", "min", "max", "training_seconds", "export_bytes", "latency")
    return [{name: group[name] for name in kept} for group in report["groups"]]
