"""`zoo gates`: table, JSON and pictures, and errors of one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib.image import imread

from tests.support.command import assert_one_line, run_zoo
from tests.support.runs import build_run
from zoo.jobs.gates import run_gates
from zoo.plugins.registry import load_registry
from zoo.run.lock import LOCK, locked
from zoo.run.run import Run


@pytest.fixture(scope="module")
def bilstm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("runs"), "bilstm", "training.epochs=1", "architecture.num_layers=2")


@pytest.fixture(scope="module")
def gru(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("runs"), "gru", "training.epochs=1")


def test_a_row_for_every_gate_and_state(bilstm: Path) -> None:
    outcome = run_zoo("gates", bilstm)
    assert outcome.exit_code == 0, outcome.stderr
    first, second, *rows = outcome.stdout.splitlines()
    assert max(map(len, (first, second, *rows))) <= 80
    assert [row.split()[:4] for row in rows] == [
        [layer, direction, kind, name]
        for layer in "01"
        for direction in ("forward", "reverse")
        for kind, name in (("gate", "f"), ("gate", "i"), ("gate", "g"), ("gate", "o"), ("state", "h"), ("state", "c"))
    ]
    summary = run_gates(Run(bilstm), load_registry()).series[0].summary
    numbers = [f"{number:.3g}" for number in (summary.mean, summary.min, summary.max)]
    assert rows[0].split()[4:7] == numbers
    assert rows[0].split()[-2:] == [str(summary.lowest_step), str(summary.highest_step)]
    pictures = [bilstm / f"gates-{layer}-{way}.png" for layer in (0, 1) for way in ("forward", "reverse")]
    assert outcome.stderr.splitlines() == [f"{picture}: sample 0, 8 steps" for picture in pictures]
    assert all(imread(picture).std() > 0 for picture in pictures)
    assert not (bilstm / LOCK).exists()


def test_as_json(bilstm: Path) -> None:
    outcome = run_zoo("gates", bilstm, "--row", "3", "--layer", "1", "--json")
    report = json.loads(outcome.stdout)
    result = run_gates(Run(bilstm), load_registry(), row=3, layer=1)
    assert {key: report[key] for key in result.to_dict()} == json.loads(json.dumps(result.to_dict()))
    assert report["run"] == str(bilstm)
    assert report["pictures"] == [str(bilstm / f"gates-1-{way}.png") for way in ("forward", "reverse")]


def test_a_picture_elsewhere(gru: Path, bilstm: Path, tmp_path: Path) -> None:
    """A run's folder that another command uses is then no obstacle."""
    with locked(gru, "zoo export"):
        assert run_zoo("gates", gru, "--out", tmp_path / "own.png").exit_code == 0
        assert_one_line(run_zoo("gates", gru), 1, f"{gru}: is in use by ", "zoo export")
    assert run_zoo("gates", bilstm, "--layer", "0", "--out", tmp_path / "two.png").exit_code == 0
    assert run_zoo("gates", gru).stderr == f"{gru / 'gates.png'}: sample 0, 8 steps\n"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["own.png", "two-0-forward.png", "two-0-reverse.png"]


def test_errors_are_one_line(gru: Path, tmp_path: Path) -> None:
    assert_one_line(run_zoo("gates", tmp_path), 1, f"{tmp_path}: is not a run; 'zoo build SPEC' makes one")
    assert_one_line(run_zoo("gates", gru, "--row", "999"), 2, "row 999: expected a number from 0 to 255, since")
    assert_one_line(run_zoo("gates", gru, "--layer", "1"), 2, f"layer 1: expected 0, since {gru} has 1 layer")
    assert_one_line(run_zoo("gates", gru, "--text", "x"), 2, "--text: this model takes numbers")
    both = run_zoo("gates", gru, "--text", "x", "--input", "x.npy")
    assert_one_line(both, 2, "--input and --text: expected one sequence; leave one of them out")
    assert_one_line(run_zoo("gates", gru, "--out", "x.svg"), 2, "--out x.svg: the picture is a PNG")
    assert_one_line(run_zoo("gates", gru, "--input", tmp_path / "x.npy"), 1, "x.npy: there is no such file")
