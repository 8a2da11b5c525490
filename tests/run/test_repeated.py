"""Texts in two parts of the data: the warning of a build, and their numbers in config.json, the card and the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import run_zoo
from zoo.run.model_card import repeated_sentence

SIZES = {"train": 8_000, "validation": 1_066, "test": 1_067}


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spec on 10 texts for each of two labels; the texts of the second label are identical."""
    folder = tmp_path_factory.mktemp("repeated")
    rows = [f"text {'abcdefghij'[number]} of a,a\nthe same,b\n" for number in range(10)]
    (folder / "x.csv").write_text("text,label\n" + "".join(rows))
    path = folder / "spec.yaml"
    path.write_text(
        f"data: {{name: text, file: {folder / 'x.csv'}}}\narchitecture: {{name: rnn, hidden_size: 2}}\n"
        "task: {name: classification}\ntraining: {epochs: 1}\n"
    )
    return path


SENTENCE = "1 of 2 validation sequences and 1 of 2 test sequences also occur in the training part"


def test_the_sentence_states_the_numbers() -> None:
    assert repeated_sentence({"validation": 0, "test": 3}, SIZES) == (
        "0 of 1,066 validation sequences and 3 of 1,067 test sequences also occur in the training part"
    )
    assert repeated_sentence({}, SIZES) == ""


def test_a_dry_run_warns(spec: Path) -> None:
    outcome = run_zoo("build", spec, "--dry-run", "--json")
    assert outcome.exit_code == 0
    assert outcome.stderr == f"warning: {SENTENCE}: a model may have memorised them\n"
    values = json.loads(outcome.stdout)
    assert values["repeated"] == {"validation": 1, "test": 1}
    assert values["sizes"] == {"train": 16, "validation": 2, "test": 2}
    assert values["data"].startswith("x.csv (separated by commas; 20 rows): 20 texts of 2 labels")
    assert "# x.csv (separated by commas; 20 rows): 20 texts of 2 labels" in run_zoo("build", spec, "--dry-run").stdout


def test_distinct_texts_give_no_warning(spec: Path) -> None:
    outcome = run_zoo("build", spec, "--dry-run", "--json", "--set", "data={name: text}")
    assert outcome.stderr == ""
    assert json.loads(outcome.stdout)["repeated"] == {"validation": 0, "test": 0}


def test_a_run_records_the_numbers(spec: Path, tmp_path: Path) -> None:
    outcome = run_zoo("build", spec, "--out", tmp_path / "run", "--device", "cpu")
    assert outcome.exit_code == 0, outcome
    assert f"warning: {SENTENCE}: " in outcome.stderr
    assert json.loads((tmp_path / "run" / "config.json").read_text())["repeated"] == {"validation": 1, "test": 1}
    assert f" {SENTENCE}.\n" in (tmp_path / "run" / "README.md").read_text()
    assert run_zoo("report", tmp_path / "run").exit_code == 0
    assert f" {SENTENCE}." in (tmp_path / "run" / "report.html").read_text()
