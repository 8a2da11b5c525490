"""Systems 9 and 10: how far gradients reach, and the cells side by side; figures, and pictures beside the specs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.book.plan import CELLS, SEEDS

Zoo = Callable[..., str]
"""Runs a command of zoo and returns what it printed."""

ADDING = [f"adding_{cell}-100-0" for cell in CELLS]
TEXT = [f"text_{cell}-{seed}" for cell in CELLS for seed in SEEDS[:3]]


def gradients(zoo: Zoo, runs: Path, pictures: Path) -> dict[str, dict[str, float]]:
    """For the trained and the untrained models the norm at the first step over that at the last, by cell and state."""
    found = {}
    for weights, flags in (("trained", ()), ("untrained", ("--untrained",))):
        out = pictures / f"gradients_{weights}.png"
        report = json.loads(zoo("gradients", *(str(runs / run) for run in ADDING), *flags, "--out", str(out), "--json"))
        found[weights] = {
            f"{cell} {state['state']}": state["ratio"]
            for cell, run in zip(CELLS, report["runs"], strict=True)
            for state in run["states"]
        }
    return found


def comparison(zoo: Zoo, runs: Path, pictures: Path) -> list[dict[str, Any]]:
    """What `zoo compare` says of the text classifiers, a row a cell."""
    out = pictures / "compare.png"
    report = json.loads(zoo("compare", *(str(runs / run) for run in TEXT), "--out", str(out), "--json"))
    kept = ("architecture", "seeds", "parameters", "mean", "min", "max", "training_seconds", "export_bytes", "latency")
    return [{name: group[name] for name in kept} for group in report["groups"]]
