"""The run folder: its files, how it is found and loaded, its pictures, and the display of training progress."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from matplotlib.image import imread
from rich.console import Console

from tests.support.command import run_zoo
from tests.support.runs import build_run
from tests.support.trainings import digits
from zoo.errors import RunError
from zoo.jobs.build import SAMPLE
from zoo.library.progress import Bar, Lines, Silence, watch
from zoo.plots.confusion import plot_confusion
from zoo.plots.curves import plot_curves
from zoo.plugins.registry import load_registry
from zoo.run.model_card import write_card
from zoo.run.run import Run, next_run, runs_named
from zoo.training.engine import evaluate
from zoo.training.progress import EpochRecord


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("runs"), "gru", "description=Ten digits.")


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Run:
    """A copy of the run that a test may change."""
    return Run(shutil.copytree(built, tmp_path / "gru"))


def test_a_run_contains_exactly_its_files(built: Path) -> None:
    assert {path.name for path in built.iterdir()} == {
        "README.md",
        "checkpoint",
        "config.json",
        "confusion.png",
        "curves.png",
        "metrics.jsonl",
        "model.safetensors",
        "sample.safetensors",
        "spec.yaml",
    }


def test_the_spec_is_resolved_and_builds_the_same_run(built: Path, tmp_path: Path) -> None:
    values = yaml.safe_load((built / "spec.yaml").read_text())
    assert values["architecture"]["num_layers"] == 1  # a default, written out
    assert values["training"]["epochs"] == 2  # an override
    outcome = run_zoo("build", built / "spec.yaml", "--out", tmp_path / "again", "--device", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (built / "model.safetensors").read_bytes()


def test_the_config_records_the_training(built: Path) -> None:
    config = json.loads((built / "config.json").read_text())
    lines = [json.loads(line) for line in (built / "metrics.jsonl").read_text().splitlines()]
    best = lines[config["best_epoch"] - 1]
    assert config["schema_version"] == 1
    assert (config["name"], config["architecture"], config["task"]) == ("gru", "gru", "classification")
    assert config["sizes"] == {"train": 1078, "validation": 359, "test": 360}
    assert config["signature"]["labels"] == list("0123456789")
    assert (config["signature"]["features"], config["time"]) == (8, 8)
    assert config["epochs"] == len(lines) == 2
    assert best["best"]
    ranked = {"auroc", "average_precision"}  # of the best epoch alone
    assert config["validation"].keys() - best["validation"].keys() == ranked
    assert {name: value for name, value in config["validation"].items() if name not in ranked} == best["validation"]
    assert config["training_seconds"] == sum(line["seconds"] for line in lines)
    assert {"python", "torch", "recurrent-zoo"} <= config["versions"].keys()


def test_the_weights_are_those_of_the_result(built: Path) -> None:
    run = Run(built)
    spec, task, model = run.load(load_registry())
    config = run.config()
    assert spec.name == "gru"
    assert task.signature == digits().signature
    assert task.signature.labels == tuple(config["signature"]["labels"])
    assert not model.training
    assert model.parameter_count == config["parameters"]
    assert evaluate(model, task, digits().validation)[0] == config["validation"]
    assert evaluate(model, task, digits().test)[0] == config["test"]


def test_the_sample_is_spread_over_the_test_part(built: Path) -> None:
    sample = Run(built).sample()
    assert sample.x.dtype == torch.float32
    assert sample.x.shape == (SAMPLE, 8, 8)
    assert sample.lengths is None
    test = digits().test
    for row in (0, -1):
        assert torch.equal(sample.x[row], test.x[row].float())
        assert sample.y[row] == test.y[row]
    assert len(sample.x.unique(dim=0)) == SAMPLE


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: flip(run.weights_file), r"model\.safetensors: was altered"),
        (lambda run: run.weights_file.unlink(), r"model\.safetensors: does not exist"),
        (lambda run: run.config_file.unlink(), r"is not a finished run; finish it with 'zoo build SPEC --resume'"),
        (lambda run: run.config_file.write_text("{"), r"config\.json: is not valid JSON: .*; build the run again"),
        (lambda run: run.config_file.write_text("[]"), r"config\.json: expected schema_version 1"),
        (
            lambda run: run.config_file.write_text('{"schema_version": 2}'),
            r"config\.json: expected schema_version 1; build the run again",
        ),
        (
            lambda run: run.config_file.write_text('{"schema_version": 2, "versions": {"recurrent-zoo": "9.1.0"}}'),
            r"config\.json: expected schema_version 1, got 2, as Recurrent Zoo 9\.1\.0 writes it; install that version "
            r"to use the run, or build the run again with this version$",
        ),
        (  # altered text does not reach the terminal
            lambda run: run.config_file.write_text('{"schema_version": 2, "versions": {"recurrent-zoo": "9;\\nx"}}'),
            r"config\.json: expected schema_version 1; build the run again$",
        ),
        (
            lambda run: run.spec_file.write_text(
                run.spec_file.read_text().replace("hidden_size: 12", "hidden_size: 9")
            ),
            r"model\.safetensors: does not fit .*spec\.yaml: .*size mismatch",
        ),
    ],
    ids=[
        "altered weights",
        "no weights",
        "no config",
        "half a config",
        "a list",
        "another version",
        "a named version",
        "an altered version",
        "altered spec",
    ],
)
def test_a_damaged_run_is_not_loaded(run: Run, damage: Any, message: str) -> None:
    damage(run)
    with pytest.raises(RunError, match=message) as caught:
        run.load(load_registry())
    assert "\n" not in str(caught.value)


def test_an_altered_sample_is_detected(run: Run) -> None:
    flip(run.sample_file)
    with pytest.raises(RunError, match=r"sample\.safetensors: was altered"):
        run.sample()


def touch(run: Path, when: int) -> Path:
    run.mkdir(parents=True)
    (run / "spec.yaml").touch()
    os.utime(run / "spec.yaml", (when, when))
    return run


def test_the_latest_run_is_the_one_built_last(tmp_path: Path) -> None:
    touch(tmp_path / "b", 2000)
    touch(tmp_path / "a", 3000)
    touch(tmp_path / "c", 1000)
    (tmp_path / "no run").mkdir()
    assert Run.find(None, tmp_path).path == tmp_path / "a"
    assert Run.find(tmp_path / "c", tmp_path).path == tmp_path / "c"


def test_resuming_makes_a_run_the_latest(built: Path, tmp_path: Path) -> None:
    run = shutil.copytree(built, tmp_path / "gru")
    os.utime(run / "spec.yaml", (1000, 1000))
    touch(tmp_path / "other", 2000)
    assert Run.find(None, tmp_path).path == tmp_path / "other"
    assert run_zoo("build", run / "spec.yaml", "--out", run, "--resume", "--device", "cpu").exit_code == 0
    assert Run.find(None, tmp_path).path == run


def test_the_error_names_a_path_that_is_not_a_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="file: is not a run; name the run's folder"):
        Run.find(tmp_path / "file")
    with pytest.raises(RunError, match="none: is not a run; 'zoo build SPEC' makes one"):
        Run.find(tmp_path / "none")
    with pytest.raises(RunError, match=r"there is no run in .*; 'zoo build SPEC' makes one"):
        Run.find(None, tmp_path)


def test_runs_of_a_name_are_numbered(tmp_path: Path) -> None:
    assert next_run("a", tmp_path / "runs").path == tmp_path / "runs" / "a"
    folder = tmp_path / "runs"
    for number in (10, 2, 9):
        touch(folder / f"a-{number}", 0)
    for other in ("ab", "a-x", "b-2", "a-2-3", "a.2"):
        touch(folder / other, 0)
    assert [run.path.name for run in runs_named("a", folder)] == ["a-2", "a-9", "a-10"]  # 'a' has no spec yet
    assert [next_run("a", folder).path.name for _ in range(3)] == ["a-3", "a-4", "a-5"]


def test_builds_at_the_same_time_get_folders_of_their_own(tmp_path: Path) -> None:
    taken: list[Path] = []
    together = threading.Barrier(8)

    def take() -> None:
        together.wait()
        taken.append(next_run("a", tmp_path).path)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in taken) == ["a", *[f"a-{number}" for number in range(2, 9)]]


def test_the_error_names_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(RunError, match=r"runs/a: cannot be created: .*; choose another folder with --out"):
        next_run("a", tmp_path / "runs")


@pytest.mark.parametrize(
    ("out", "fault"),
    [
        ("x" * 5000, "has a name of 5,000 characters, more than the system allows; use a shorter one"),
        ("new/" + "é" * 200, "has a name of 204 characters, more than the system allows; use a shorter one"),
        ("x/" * 2500, "has a name of 4,999 characters, more than the system allows; use a shorter one"),
        ("a\0b", r"--out: 'a\x00b': has a control character in its name, '\x00'; give it another name"),
        ("a\nb", r"--out: 'a\nb': has a control character in its name, '\n'; give it another name"),
        ("\x1b[2J", r"--out: '\x1b[2J': has a control character in its name, '\x1b'; give it another name"),
        ("a\u2028b", r"has a control character in its name, '\u2028'; give it another name"),
        ("a\udcff", r"has a byte that is not UTF-8 in its name, '\udcff'; give it another name"),
    ],
    ids=["long", "bytes", "deep", "nul", "newline", "escape", "separator", "not UTF-8"],
)
@pytest.mark.parametrize(
    "command", [("build", "{spec}"), ("predict", "{run}", "--input", "x.csv"), ("report", "{run}")]
)
def test_an_impossible_path_is_a_usage_error(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], out: str, fault: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [word.format(spec=built / "spec.yaml", run=built) for word in command]
    outcome = run_zoo(*words, "--out", out)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith("error: --out: ")
    assert outcome.stderr.endswith(f"{fault}\n")
    assert len(outcome.stderr) < 200
    assert len(outcome.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_card_describes_the_run(built: Path) -> None:
    card = (built / "README.md").read_text()
    config = json.loads((built / "config.json").read_text())
    for line in (
        "# gru",
        "Ten digits.",
        f"with {config['parameters']:,} parameters",
        "E. Alpaydin and C. Kaynak",  # the data and their source
        "Parts: 1,078 sequences for training, 359 for validation, which selects the weights, and 360 for the test.",
        "Each step has 8 features. Training sequences have 8 steps; the model accepts any number.",
        f"| accuracy | {config['validation']['accuracy']:.4g} | {config['test']['accuracy']:.4g} |",
        f"The saved weights are from epoch {config['best_epoch']} of 2, the best by validation accuracy",
        "![learning curves](curves.png)",
        "![confusion matrix](confusion.png)",
        "Not exported yet. Export the run with `zoo export --onnx`.",
        f"zoo build {built / 'spec.yaml'}\n",
        "[spec.yaml](spec.yaml) records every setting, including the seed.",
        f"torch {config['versions']['torch']}",
    ):
        assert line in card, line


def test_the_card_contains_the_verdict_of_an_export(run: Run) -> None:
    outcome = run_zoo("export", run.path, "--onnx", "--provider", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    card = run.card_file.read_text()
    (row,) = [line for line in card.splitlines() if line.startswith("| `model.onnx` | float32 |")]
    assert re.search(r"\| \*\*passed\*\* \| passed, 0\.\d\d of its budget \|", row)
    assert "Not exported yet" not in card


def test_the_card_states_the_hashes_of_proven_files(run: Run) -> None:
    """Not that of a file which failed a later check, and none of a report without a record of the export."""
    folder = run.path / "onnx"
    folder.mkdir()
    rows: list[dict[str, Any]] = []
    files = [("parity", "model.onnx", "passed", "a"), ("parity.fp16", "model.fp16.onnx", "failed", "b")]
    files += [("parity.int8", "model.int8.onnx", "passed", "")]
    for name, file, verdict, digit in files:
        export = {"export": {"sha256": 64 * digit}} if digit else {}
        report = {"file": file, "verdict": verdict, "reasons": [], "providers": rows, **export}
        (folder / f"{name}.json").write_text(json.dumps(report))
    write_card(run)
    card = run.card_file.read_text()
    assert card.count("--expect") == 1
    assert f"\n\n```\nzoo verify {folder / 'model.onnx'} --expect {64 * 'a'}\n```\n" in card


def test_the_card_states_the_steps_of_an_unrolled_file(run: Run) -> None:
    outcome = run_zoo("export", run.path, "--onnx", "--provider", "cpu", "--lowering", "unrolled", "--steps", "5")
    assert outcome.exit_code == 0, outcome.stderr
    sentence = "Training sequences have 8 steps; the model accepts any number, the file model.onnx exactly 5."
    assert sentence in run.card_file.read_text()
    assert run_zoo("report", run.path).exit_code == 0
    assert sentence in (run.path / "report.html").read_text()


def test_the_card_quotes_a_path_with_a_space(run: Run, tmp_path: Path) -> None:
    moved = Run(run.path.rename(tmp_path / "my run"))
    write_card(moved)
    assert f"zoo build '{moved.spec_file}'\n" in moved.card_file.read_text()


def test_pictures_have_a_legible_size(built: Path) -> None:
    for name in ("curves.png", "confusion.png"):
        picture = imread(built / name)
        height, width, channels = picture.shape
        assert channels == 4
        assert 400 <= height <= 2000
        assert 400 <= width <= 2000
        assert 0.1 < picture[..., :3].std() < 0.5  # neither empty nor full


def record(epoch: int, loss: float = 1.0, accuracy: float = 0.5, *, best: bool = False) -> EpochRecord:
    return EpochRecord(epoch, loss, {"loss": loss, "accuracy": accuracy, "macro_f1": accuracy}, 0.1, 1.25, best)


@pytest.mark.parametrize("epochs", [1, 2, 40])
@pytest.mark.parametrize("loss", [1.0, 1e-12, 1e30, 0.0, -1.0])
def test_curves_of_any_length_and_scale_can_be_drawn(tmp_path: Path, epochs: int, loss: float) -> None:
    history = [record(epoch, loss / epoch, best=epoch == 1) for epoch in range(1, epochs + 1)]
    plot_curves(history, "accuracy", tmp_path / "curves.png")
    assert imread(tmp_path / "curves.png").shape[2] == 4


@pytest.mark.parametrize(
    "labels",
    [["one"], ["a", "$^$", "b_{"], ["数", "字", "🙂"], ["x" * 300, "y\nz"], [str(number) for number in range(130)]],
    ids=["one class", "no formulas", "glyphs missing from the font", "long", "many"],
)
def test_any_labels_can_be_drawn(tmp_path: Path, labels: list[str]) -> None:
    counts = np.eye(len(labels)) * 3
    counts[0] = 0  # a class that is missing from the test part
    plot_confusion(counts, labels, tmp_path / "confusion.png")
    height, width, _ = imread(tmp_path / "confusion.png").shape
    assert height == width
    assert height <= 2000


def test_without_a_terminal_there_is_a_line_per_epoch(built: Path, tmp_path: Path) -> None:
    outcome = run_zoo("build", built / "spec.yaml", "--out", tmp_path / "run", "--device", "cpu")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    lines = outcome.stderr.splitlines()
    start = lines.index(f"{tmp_path / 'run'}: {config['parameters']:,} parameters, cpu")
    sizes = "{train:,} for training, {validation:,} for validation, {test:,} for the test".format(**config["sizes"])
    assert " ".join(lines[:start]) == f"{config['data']} Sequences: {sizes}."
    *epochs, last = lines[start + 1 :]
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    for line, entry in zip(epochs, records, strict=True):
        best = ", best" if entry["best"] else ""
        assert line == (
            f"epoch {entry['epoch']}/2: loss {entry['train_loss']:.4g}, "
            f"validation loss {entry['validation']['loss']:.4g}, accuracy {entry['validation']['accuracy']:.4g}, "
            f"{entry['seconds']:.2f} s{best}"
        )
    assert last == f"next: zoo export --onnx {tmp_path / 'run'}"
    assert outcome.stdout.startswith(f"{tmp_path / 'run'}: test loss {config['test']['loss']:.4g}, accuracy ")
    assert outcome.stdout.count("\n") == 1


def test_json_is_one_object_on_stdout(built: Path, tmp_path: Path) -> None:
    outcome = run_zoo("build", built / "spec.yaml", "--out", tmp_path / "run", "--device", "cpu", "--json")
    shown = json.loads(outcome.stdout)
    assert shown.pop("run") == str(tmp_path / "run")
    assert shown == json.loads((tmp_path / "run" / "config.json").read_text())


def test_a_terminal_shows_a_bar_with_time_left_loss_and_metric() -> None:
    clock = iter(range(1000))
    drawn = StringIO()
    bar = watch(Console(file=drawn, force_terminal=True, width=100, color_system=None), 4, 10, "macro_f1")
    assert isinstance(bar, Bar)
    bar.progress.get_time = lambda: float(next(clock))
    shown = []
    with bar:
        for epoch, step in ((1, 2), (1, 4), (1, 6)):
            bar.step(epoch, step, 1.5)
            shown.append(line(bar))
        bar.epoch(record(1, 1.25, 0.75))
        shown.append(line(bar))
        bar.step(2, 5, 1.0)
        shown.append(line(bar))
    assert shown[0].startswith("epoch 1/4 ")
    assert "  5% " in shown[0]
    assert shown[0].endswith("loss 1.5")
    assert "0:00:" in shown[2]  # the remaining time, as soon as there is a speed
    assert "-:--:--" in shown[0]
    assert shown[3].endswith("loss 1.25 · macro f1 0.75")
    assert shown[4].startswith("epoch 2/4 ")
    assert " 38% " in shown[4]
    assert shown[4].endswith("loss 1 · macro f1 0.75")
    assert shown[4] in drawn.getvalue()


def line(bar: Bar) -> str:
    """Return the bar as it would be drawn now."""
    console = Console(file=StringIO(), width=100, color_system=None)
    with console.capture() as capture:
        console.print(bar.progress.make_tasks_table(bar.progress.tasks))
    return capture.get().strip()


def test_without_a_terminal_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    lines = watch(Console(file=StringIO()), 4, 10, "loss")
    assert isinstance(lines, Lines)
    with lines:
        lines.step(1, 5, 1.0)
        lines.epoch(record(1, 1.25, best=True))
        lines.epoch(record(2, 1.5))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "epoch 1/4: loss 1.25, validation loss 1.25, 1.25 s, best\nepoch 2/4: loss 1.5, validation loss 1.5, 1.25 s\n"
    )


def test_the_other_processes_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with Silence() as silence:
        silence.step(1, 1, 1.0)
        silence.epoch(record(1))
    assert capsys.readouterr() == ("", "")


def test_a_resumed_bar_continues_at_the_step_of_the_training() -> None:
    """Steps from before the interruption do not count towards the speed."""
    clock = iter(range(0, 1000, 10))
    bar = Bar(Console(file=StringIO(), force_terminal=True), 100, 10, "loss")
    bar.progress.get_time = lambda: float(next(clock))
    bar.step(91, 1, 1.0)
    bar.step(91, 2, 1.0)
    (task,) = bar.progress.tasks
    assert task.completed == 902
    assert task.speed == pytest.approx(1 / 10)
    assert task.time_remaining == 980
