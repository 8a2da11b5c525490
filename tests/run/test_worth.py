"""Quality of a run: naive predictors, warnings about bad results, and the pictures of each task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import run_zoo
from tests.support.paths import ROOT

PICTURES = {
    "forecast": {"curves.png", "predictions.png"},
    "quantiles": {"curves.png", "predictions.png"},
    "adding": {"curves.png", "predictions.png"},
    "sentiment": {"curves.png", "confusion.png"},
    "copy": {"curves.png", "confusion.png"},
    "characters": {"curves.png"},
}
BASELINES = {
    "forecast": {"mean", "persistence"},
    "quantiles": {"quantiles", "persistence"},
    "adding": {"mean"},
    "sentiment": {"majority"},
    "copy": {"majority"},
    "characters": {"uniform", "unigram"},
}
SMALL = {
    "forecast": (),
    "quantiles": (),
    "adding": ("data.train=100", "data.validation=20", "data.test=20"),
    "sentiment": ("encoder.size=4",),
    "copy": ("data.train=100", "data.validation=20", "data.test=20"),
    "characters": ("training.batch_size=512",),
}


def build(folder: Path, spec: str, *settings: str) -> tuple[dict[str, object], str, str]:
    """Build a run; return its config.json, its model card and the output on the terminal."""
    changes = [part for setting in settings for part in ("--set", setting)]
    outcome = run_zoo("build", ROOT / "specs" / f"{spec}.yaml", "--out", folder, "--device", "cpu", *changes)
    assert outcome.exit_code == 0, outcome.stderr
    return (
        json.loads((folder / "config.json").read_text()),
        (folder / "README.md").read_text(),
        outcome.stderr + outcome.stdout,
    )


@pytest.mark.parametrize("spec", PICTURES)
def test_every_task_has_its_naive_predictors_and_pictures(spec: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    config, card, terminal = build(run, spec, "training.epochs=1", "architecture.hidden_size=4", *SMALL[spec])
    assert {path.name for path in run.glob("*.png")} == PICTURES[spec]
    baselines = config["baselines"]
    assert isinstance(baselines, dict)
    assert set(baselines) == BASELINES[spec]
    for name, metrics in baselines.items():
        assert f"naive: {name}" in card
        assert f"; naive {name}: " in terminal
        assert metrics.keys() == config["test"].keys()  # type: ignore[attr-defined]


def test_a_model_that_is_no_better_gives_a_warning(tmp_path: Path) -> None:
    config, card, terminal = build(tmp_path / "run", "forecast", "training.epochs=1", "training.optimizer.lr=1e-6")
    assert config["not_beaten"] == ["persistence"] or config["not_beaten"] == ["mean", "persistence"]
    assert "warning: on the test part the model is no better than" in terminal
    assert "**On the test part the model is no better than" in card


def test_constant_predictions_give_a_warning(tmp_path: Path) -> None:
    """One very large update makes every input of the ReLU negative, so the output is 0 for every sequence."""
    config, card, terminal = build(
        tmp_path / "run",
        "forecast",
        "data.inputs=[open, high, low, close, volume]",
        "training.epochs=3",
        "training.seed=1",
        "training.batch_size=1000",
        "training.optimizer={name: sgd, lr: 100}",
        "training.schedule={name: constant}",
        "training.clip_norm=null",
        "data.target_scaling=min_max",
        "task.head={output_activation: relu}",
    )
    assert config["constant"] is True
    assert "warning: the model makes the same prediction for every test sequence" in terminal
    assert "it has learnt nothing" in card
