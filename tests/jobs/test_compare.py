"""`zoo compare`: the grouping of runs, the fields of a group, and the display."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

import pytest
from matplotlib.image import imread

from tests.support.command import Outcome, run_zoo
from tests.support.paths import SPECS
from tests.support.runs import build_exported_run, build_run
from zoo.cli.compare import WIDTH, _notes, _show, _size
from zoo.jobs.compare import Comparison, Group, compare
from zoo.plots.comparison import plot_comparison
from zoo.plugins.registry import load_registry
from zoo.run.run import Run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs by name: a GRU with two seeds, a GRU of another size, and an LSTM; some of them exported."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "gru": build_run(folder / "first", "gru"),
        "gru again": build_exported_run(folder / "second", "gru", "training.seed=1", "name=other"),
        "gru large": build_run(folder / "large", "gru", "architecture.hidden_size=20"),
        "lstm": build_exported_run(folder / "first", "lstm"),
    }


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config(run: Path) -> Any:
    return json.loads((run / "config.json").read_text())


def compared(*paths: Path) -> Any:
    outcome = run_zoo("compare", *paths, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    return json.loads(outcome.stdout)


def test_runs_that_differ_in_the_seed_are_one_row(runs: dict[str, Path], here: Path) -> None:
    report = compared(runs["gru"], runs["lstm"], runs["gru again"], runs["gru"])
    assert (report["task"], report["metric"], report["better"]) == ("classification", "accuracy", "higher")
    gru, lstm = report["groups"]
    assert (gru["label"], lstm["label"]) == ("gru", "lstm")
    assert gru["runs"] == [str(runs["gru"]), str(runs["gru again"])]
    assert gru["seeds"] == [0, 1]
    configs = [config(runs["gru"]), config(runs["gru again"])]
    accuracies = [values["test"]["accuracy"] for values in configs]
    assert gru["values"] == accuracies
    assert gru["mean"] == mean(accuracies)
    assert (gru["min"], gru["max"]) == (min(accuracies), max(accuracies))
    assert gru["parameters"] == configs[0]["parameters"]
    assert gru["training_seconds"] == median(values["training_seconds"] for values in configs)
    assert gru["weights_bytes"] == (runs["gru"] / "model.safetensors").stat().st_size
    assert (gru["baseline"], gru["baseline_value"]) == ("majority", configs[0]["baselines"]["majority"]["accuracy"])
    # The first seed is not exported, the second is.
    assert gru["export_bytes"] == (runs["gru again"] / "onnx" / "model.onnx").stat().st_size
    assert gru["time"] == 8
    for group in (gru, lstm):
        assert 0 < group["latency"]["cpu"] < 1
        assert (group["not_beaten"], group["constant"]) == (0, 0)
    assert report["picture"] == "compare.png"
    height, width = imread("compare.png").shape[:2]
    assert width > height > 400


def test_labels_contain_the_differences(runs: dict[str, Path], here: Path) -> None:
    small, large = compared(runs["gru"], runs["gru large"])["groups"]
    assert small["differences"] == {"architecture.hidden_size": 12}
    assert (small["label"], large["label"]) == ("gru, hidden_size 12", "gru, hidden_size 20")
    assert large["export_bytes"] is None
    assert large["latency"] == {}


def variant(run: Path, folder: Path, *changes: tuple[str, str]) -> Run:
    """Return a copy of a run with replacements in its spec."""
    copy = Run(shutil.copytree(run, folder))
    text = copy.spec_file.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    copy.spec_file.write_text(text)
    return copy


def labels(runs: Sequence[Run]) -> list[str]:
    return [group.label for group in compare(runs, load_registry()).groups]


def test_a_field_is_compared_only_between_specs_that_have_it(runs: dict[str, Path], tmp_path: Path) -> None:
    """Only a GRU has ``reset``: it differs between two GRUs, and not between a GRU and an LSTM."""
    lstm, gru = Run(runs["lstm"]), Run(runs["gru"])
    before = variant(runs["gru"], tmp_path / "before", ("reset: after", "reset: before"))
    assert labels([lstm, gru]) == ["lstm", "gru"]
    assert labels([lstm, gru, before]) == ["lstm", "gru, reset after", "gru, reset before"]


def test_parts_that_are_missing_or_of_another_kind(runs: dict[str, Path], tmp_path: Path) -> None:
    gru = Run(runs["gru"])
    stopping = ("early_stopping: null", "early_stopping: {patience: 3}")
    early = variant(runs["gru"], tmp_path / "early", stopping)
    assert labels([gru, early]) == ["gru, early_stopping none", "gru, early_stopping patience 3"]
    adam = variant(
        runs["gru"], tmp_path / "adam", ("name: adamw", "name: adam"), ("deterministic: false", "deterministic: true")
    )
    assert labels([gru, adam]) == [
        "gru, optimizer adamw, deterministic false",
        "gru, optimizer adam, deterministic true",
    ]


def test_runs_with_different_descriptions_are_one_group(runs: dict[str, Path], tmp_path: Path) -> None:
    described = variant(runs["gru"], tmp_path / "described", ("description: ", "description: By me. "))
    (group,) = compare([Run(runs["gru"]), described], load_registry()).groups
    assert (group.seeds, len(group.runs)) == ([0], 2)


# as a table


def lines(outcome: Outcome) -> list[str]:
    assert outcome.exit_code == 0, outcome.stderr
    return outcome.stdout.splitlines()


def test_the_table(runs: dict[str, Path], here: Path) -> None:
    outcome = run_zoo("compare", *runs.values(), "--out", here / "here.png")
    heading, below, first, second, *_ = lines(outcome)
    assert heading.split() == ["model", "accuracy", "seeds", "naive", "parameters", "training", "ONNX", "latency"]
    assert below.split()[0] == "min..max"
    accuracies = [config(runs[name])["test"]["accuracy"] for name in ("gru", "gru again")]
    assert first.split()[:6] == ["gru,", "hidden_size", "12", f"{mean(accuracies):.4g}", "2", "0.1028"]
    assert second.split()[:2] == [f"{min(accuracies):.4g}..{max(accuracies):.4g}", "majority"]
    assert (
        f"gru, hidden_size 20: not exported, so it has no file to measure; zoo export --onnx {runs['gru large']}"
        in (outcome.stderr.splitlines())
    )
    assert (here / "here.png").is_file()
    assert not (here / "compare.png").exists()


def group(**changes: Any) -> Group:
    """Return a group with the longest possible numbers."""
    values: dict[str, Any] = {
        "architecture": "bilstm",
        "differences": {"architecture.hidden_size": 1024, "data.file": "../shared/data/a_file_with_a_long_name.csv"},
        "runs": ["runs/a", "runs/b"],
        "seeds": [0, 1],
        "parameters": 12_345_678,
        "weights_bytes": 49_382_712,
        "values": [2.123456, 2.345678],
        "baseline": "persistence",
        "baseline_value": 4.567891,
        "not_beaten": 0,
        "constant": 0,
        "training_seconds": 12345.6,
        "trained_on": ["cpu, 1 thread"],
        "export_bytes": 49_382_712,
        "time": 28,
        "latency": {"cpu": 0.0123456, "cuda": 0.00234567},
    }
    return Group(**{**values, **changes})


def comparison(*groups: Group) -> Comparison:
    return Comparison("language_modelling", "bits_per_character", "lower", list(groups), {})


def test_the_table_fits_a_hundred_columns(capsys: pytest.CaptureFixture[str]) -> None:
    _show(comparison(group(), group(latency={}, export_bytes=None, baseline="", baseline_value=None)))
    shown = capsys.readouterr().out.splitlines()
    assert max(map(len, shown)) <= WIDTH
    joined = "\n".join(shown)
    assert group().label == "bilstm, hidden_size 1024, file …le_with_a_long_name.csv"
    for text in ("2.123..2.346", "12,345,678", "49.4 MB", "12.3 ms cpu", "2.35 ms cuda", "12345.6 s", "persistence"):
        assert text in joined


def test_the_notes_below_the_table() -> None:
    notes = _notes(
        Comparison(
            "regression",
            "loss",
            "lower",
            [
                group(architecture="rnn", differences={}, constant=1, not_beaten=2),
                group(architecture="gru", differences={}, trained_on=["cuda"], time=200),
            ],
            {"cuda": "no GPU"},
        )
    )
    assert notes == [
        "rnn: the same prediction for every sequence in 1 of 2 runs",
        "rnn: no better than a naive predictor in 2 of 2 runs",
        "training times are not comparable: the runs were trained on cpu, 1 thread; cuda",
        "latencies are not comparable: the sequences of the runs have 28, 200 steps",
        "cuda: unavailable: no GPU",
    ]


def test_sizes() -> None:
    assert [_size(count) for count in (0, 999, 1000, 64_123, 4_500_000, 7_000_000_000)] == [
        "0 B",
        "999 B",
        "1 kB",
        "64.1 kB",
        "4.5 MB",
        "7 GB",
    ]


# as a picture


@pytest.mark.parametrize(
    "groups",
    [
        [group()],
        [group(latency={}, export_bytes=None)],
        [group(values=[0.0, 0.0], baseline="", baseline_value=None, parameters=1)],
        [group(values=[2.0], latency={"cpu": 1e-5}), group(parameters=100, latency={}, baseline_value=2.2)],
        [group(values=[1e-4, 1.0], parameters=1), group(values=[0.3])],
        [group(parameters=10**number, architecture="a $long_ name " * 5) for number in range(1, 10)],
    ],
    ids=["single", "not exported", "all zero", "two", "far apart", "many"],
)
def test_any_rows_can_be_drawn(groups: list[Group], tmp_path: Path) -> None:
    plot_comparison(comparison(*groups), tmp_path / "compare.png")
    assert imread(tmp_path / "compare.png").std() > 0


# errors


def test_runs_of_two_tasks_are_an_error(runs: dict[str, Path], here: Path) -> None:
    small = ["--set", "training.epochs=1", "--set", "data.train=64", "--set", "architecture.hidden_size=4"]
    assert run_zoo("build", SPECS / "adding.yaml", "--out", here / "adding", *small).exit_code == 0
    outcome = run_zoo("compare", runs["gru"], here / "adding")
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr == (
        f"error: {runs['gru']} has the task 'classification' and {here / 'adding'} has 'regression'; "
        "compare runs of one task\n"
    )
    assert not (here / "compare.png").exists()


def test_runs_of_two_metrics_are_an_error(runs: dict[str, Path], tmp_path: Path, here: Path) -> None:
    other = shutil.copytree(runs["lstm"], tmp_path / "other")
    (other / "config.json").write_text(json.dumps({**config(other), "metric": "macro_f1"}))
    outcome = run_zoo("compare", runs["gru"], other)
    assert outcome.exit_code == 2
    assert outcome.stderr == (
        f"error: {runs['gru']} has the metric 'accuracy' and {other} has 'macro_f1'; compare runs of one metric\n"
    )


def test_runs_with_the_training_loss_are_compared_by_accuracy(runs: dict[str, Path], tmp_path: Path) -> None:
    other = shutil.copytree(runs["lstm"], tmp_path / "other")
    (other / "config.json").write_text(json.dumps({**config(other), "metric": "train_loss"}))
    assert compare([Run(runs["gru"]), Run(other)], load_registry()).metric == "accuracy"


def test_errors_are_one_line(runs: dict[str, Path], tmp_path: Path, here: Path) -> None:
    unfinished = shutil.copytree(runs["gru"], tmp_path / "unfinished")
    (unfinished / "config.json").unlink()
    for arguments, code, line in (
        (
            (runs["gru"], unfinished),
            1,
            f"{unfinished}: is not a finished run; finish it with 'zoo build SPEC --resume'",
        ),
        ((here / "no",), 1, f"{here / 'no'}: is not a run; 'zoo build SPEC' makes one"),
        ((runs["gru"], "--out", "x.pdf"), 2, "--out x.pdf: the picture is a PNG; give a name that ends in .png"),
    ):
        outcome = run_zoo("compare", *arguments)
        assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (code, "", f"error: {line}\n")


# other data than the digits


@pytest.mark.parametrize("name", ["sentiment", "characters", "forecast"])
def test_every_kind_of_data(name: str, here: Path) -> None:
    """Tokens with and without lengths, and a forecast: their exported files run on the run's sample."""
    small = {"characters": ["data.window=20"], "forecast": ["data.window=7"]}
    changes = ["architecture.hidden_size=6", "training.epochs=1", *small.get(name, [])]
    arguments = [part for change in changes for part in ("--set", change)]
    run = here / name
    assert run_zoo("build", SPECS / f"{name}.yaml", "--out", run, *arguments).exit_code == 0
    outcome = run_zoo("export", run, "--onnx", "--provider", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    (row,) = compared(run)["groups"]
    assert row["latency"]["cpu"] > 0
    assert row["time"] == config(run)["time"]
    own = [metrics[config(run)["metric"]] for metrics in config(run)["baselines"].values()]
    assert row["baseline_value"] == (max(own) if name == "sentiment" else min(own))
