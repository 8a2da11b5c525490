"""`zoo data`: what is printed, JSON, the picture, and errors of one line."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.image import imread

import zoo
from tests.support.command import assert_one_line, run_zoo
from zoo.cli.data import BARS, _line, _name

SPEC = "data: {name: text, file: t.csv}\narchitecture: {name: gru, hidden_size: 8}\ntask: {name: classification}\n"


def rows(output: str, heading: str) -> dict[str, list[str]]:
    """Return the cells of the table below a heading, by the first of each row."""
    _, _, table = output.partition(f"\n{heading}")
    lines = table.partition("\n\n")[0].splitlines()[1:]
    return {line.split()[0]: line.split()[1:] for line in lines}


def test_tables_of_a_spec() -> None:
    outcome = run_zoo("data", "gru")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.startswith("Handwritten digits of 8 x 8 pixels")
    assert "\n0.1 MB in memory\n" in outcome.stdout
    assert max(map(len, outcome.stdout.splitlines())) <= 100
    assert rows(outcome.stdout, "part ")["test"] == ["360", "8", "8", "8", "0"]
    report = zoo.inspect_data("gru")
    train, test = report.features[5].parts["train"], report.features[5].parts["test"]
    expected = [f"{number:.4g}" for number in (train.mean, train.deviation, train.minimum, train.maximum)]
    cells = rows(outcome.stdout, "feature ")["5"]
    assert cells[:7] == [*expected, f"{train.zeros:.0%}", f"{test.mean:.4g}", "0%"]
    assert rows(outcome.stdout, "class, sequences ")["3"] == ["110", "10.2", "36", "10.0", "37", "10.3"]
    naive = rows(outcome.stdout, "test part, naive predictor ")
    assert next(iter(naive)) == report.metric == "accuracy"
    assert naive["accuracy"] == [f"{report.baselines['majority']['accuracy']:.4g}"]


def test_categories_of_many_series() -> None:
    outcome = run_zoo("data", "stores")
    assert outcome.exit_code == 0, outcome.stderr
    categories = rows(outcome.stdout, "feature  categories")
    assert categories["region"] == ["north", "35,392,", "south", "35,392,", "west", "35,392"]
    assert categories["store"][-2:] == ["4", "more"]
    assert "holiday+7" in rows(outcome.stdout, "feature     ")
    assert "mean  persistence  seasonal\n" in outcome.stdout


def test_warnings_and_json(tmp_path: Path) -> None:
    lines = [
        f"{word} film {number}," + ("good" if word == "great" else "bad")
        for number in range(30)
        for word in ("great", "dull")
    ]
    (tmp_path / "t.csv").write_text("\n".join(["text,label", *lines, *["the same,bad"] * 20]))
    (tmp_path / "s.yaml").write_text(SPEC.replace("t.csv", str(tmp_path / "t.csv")))
    picture = tmp_path / "data.svg"
    outcome = run_zoo("data", tmp_path / "s.yaml", "--json", "--out", picture)
    values = json.loads(outcome.stdout)
    report = zoo.inspect_data(tmp_path / "s.yaml")
    assert values["schema_version"] == 1
    assert values["picture"] == str(picture)
    assert picture.read_text().count("<svg") == 1
    assert {name: values[name] for name in report.to_dict()} == json.loads(json.dumps(report.to_dict()))
    assert values["spec"]["data"]["file"].endswith("t.csv")
    assert [f"warning: {line}" for line in values["warnings"]] == outcome.stderr.splitlines()
    assert any("test sequences also occur in the training part" in line for line in values["warnings"])


def test_a_picture_and_overrides(tmp_path: Path) -> None:
    picture = tmp_path / "copy.png"
    outcome = run_zoo("data", "copy", "--set", "data.train=30", "--set", "data.test=20", "--out", picture)
    assert outcome.exit_code == 0, outcome.stderr
    assert imread(picture).std() > 0
    assert f"{picture}: the picture of the data\n" in outcome.stderr
    assert rows(outcome.stdout, "part ")["training"][0] == "30"
    assert list(tmp_path.iterdir()) == [picture]


def test_errors_are_one_line(tmp_path: Path) -> None:
    assert_one_line(
        run_zoo("data", "gru", "--out", "x.jpg"), 2, "--out x.jpg: the picture is a PNG or SVG; give a name"
    )
    assert_one_line(run_zoo("data", tmp_path / "x.yaml"), 2, "x.yaml")
    (tmp_path / "s.yaml").write_text(SPEC.replace("file: t.csv", "max_length: 4").replace("classi", "xclassi"))
    assert_one_line(run_zoo("data", tmp_path / "s.yaml"), 3, "s.yaml:3:8: task.name: 'xclassification'")
    override = "task.name=regression"
    (tmp_path / "s.yaml").write_text(SPEC.replace(", file: t.csv", ""))
    wrong = run_zoo("data", tmp_path / "s.yaml", "--set", override)
    assert_one_line(wrong, 3, f"--set {override}: task.name: 'regression' predicts numbers for each sequence")


def test_a_histogram_as_a_line() -> None:
    assert _line([0, 1, 50, 100]) == f" {BARS[0]}{BARS[3]}{BARS[7]}"
    assert _line([0, 0]) == "  "


def test_a_name_that_is_no_text() -> None:
    assert [_name(name) for name in (" ", "a\nb", "a" * 40)] == ["' '", "'a\\nb'", "a" * 23 + "…"]
