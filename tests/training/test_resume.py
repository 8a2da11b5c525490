"""A training that is stopped at any moment resumes with bit-identical results."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command import Outcome, contents, run_zoo
from tests.support.driver import STEP, command, environment
from zoo.training.interrupts import Interrupts

STEPS, EPOCHS = 6, 4
"""1,078 rows in batches of 200 are six steps an epoch."""

SPEC = """
data: {name: digits}
architecture: {name: lstm, hidden_size: 12, num_layers: 2, dropout: 0.25}
task: {name: classification}
training:
  epochs: 4
  batch_size: 200
  optimizer: {name: adamw, lr: 0.02}
  schedule: {name: one_cycle}
  clip_norm: 1.0
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spec") / "small.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def unbroken(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train without a stop."""
    run = tmp_path_factory.mktemp("unbroken") / "run"
    assert run_zoo("build", spec, "--out", run, "--device", "cpu").exit_code == 0
    return run


def start_build(
    event: str, function: str, count: int, checkpoints: str, spec: Path, run: Path, *options: str
) -> subprocess.Popen[str]:
    """Start a build in a process of its own; see `tests.support.driver`."""
    arguments = command(event, function, count, "build", spec, "--out", run, "--device", "cpu", *options)
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(checkpoints),
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for a build that receives a signal, and return its exit code and its stderr."""
    _, stderr = process.communicate()
    return process.returncode, stderr


def resume(spec: Path, run: Path, *settings: str) -> Outcome:
    changes = [argument for change in settings for argument in ("--set", change)]
    return run_zoo("build", spec, "--out", run, "--resume", "--device", "cpu", *changes)


def checkpoints(run: Path) -> list[int]:
    """Return the step of each checkpoint on disk."""
    return sorted(int(file.stem.removeprefix("step-")) for file in (run / "checkpoint").glob("step-*.safetensors"))


def history(run: Path) -> list[dict[str, Any]]:
    """Return the records of metrics.jsonl without the duration of each epoch."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


def config(run: Path) -> dict[str, Any]:
    """Return config.json without the duration of the training."""
    values: dict[str, Any] = json.loads((run / "config.json").read_text())
    del values["training_seconds"]
    return values


def assert_as_unbroken(run: Path, unbroken: Path) -> None:
    assert (run / "model.safetensors").read_bytes() == (unbroken / "model.safetensors").read_bytes()
    assert history(run) == history(unbroken)
    assert [record["epoch"] for record in history(run)] == [1, 2, 3, 4]
    assert config(run) == config(unbroken)
    assert {file.name for file in run.iterdir()} == {file.name for file in unbroken.iterdir()}


@pytest.mark.parametrize(
    ("function", "count", "written", "left"),
    [
        pytest.param(STEP, 15, "step", [13, 14], id="in mid-epoch, after a checkpoint in mid-epoch"),
        pytest.param(STEP, 15, "epoch", [6, 12], id="in mid-epoch, after a checkpoint at the end of an epoch"),
        pytest.param(STEP, 15, "never", [], id="before the first checkpoint"),
        pytest.param("zoo.training.engine:evaluate", 2, "step", [11, 12], id="in the evaluation of an epoch"),
        pytest.param("os:fsync", 13, "step", [3, 4], id="while a checkpoint is written"),
        pytest.param("zoo.run.run:Run.save_model", 1, "never", [24], id="while the results are written"),
    ],
)
def test_a_killed_run_resumes_with_the_same_bits(
    tmp_path: Path, spec: Path, unbroken: Path, function: str, count: int, written: str, left: list[int]
) -> None:
    run = tmp_path / "run"
    code, stderr = finish(start_build("SIGKILL", function, count, written, spec, run))
    assert code == -signal.SIGKILL, stderr
    assert checkpoints(run) == left
    assert not (run / "config.json").exists()
    outcome = resume(spec, run)
    assert outcome.exit_code == 0, outcome.stderr
    assert "warning" not in outcome.stderr
    assert_as_unbroken(run, unbroken)


@pytest.mark.slow
def test_kills_at_any_moment_change_nothing(tmp_path: Path, spec: Path, unbroken: Path) -> None:
    """The process is killed from outside, three times, shortly after the training starts."""
    run = tmp_path / "run"
    seed = random.randrange(1000)
    print(f"seed {seed}")  # shown if the test fails
    generator = random.Random(seed)
    for _ in range(3):
        process = start_build("SIGKILL", STEP, 10**9, "step", spec, run, *(["--resume"] if run.exists() else []))
        while not (run / "spec.yaml").exists():
            assert process.poll() is None
            time.sleep(0.01)
        assert process.stderr is not None
        while "parameters" not in process.stderr.readline():  # the line before the training starts
            assert process.poll() is None
        time.sleep(generator.uniform(0, 0.3))
        process.kill()
        process.communicate()
    assert resume(spec, run).exit_code == 0
    assert_as_unbroken(run, unbroken)


@pytest.mark.parametrize(("event", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_in_mid_epoch_leaves_a_checkpoint(
    tmp_path: Path, spec: Path, unbroken: Path, event: str, code: int
) -> None:
    run = tmp_path / "run"
    exit_code, stderr = finish(start_build(event, STEP, 15, "never", spec, run))
    assert exit_code == code
    lines = stderr.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{run}: "))
    *epochs, last = lines[start + 1 :]
    assert all(line.startswith("epoch ") for line in epochs)
    assert last == "error: stopped in epoch 3 after step 3 of 6; the state is saved: go on with --resume"
    assert checkpoints(run) == [15]
    assert len(history(run)) == 2
    assert resume(spec, run).exit_code == 0
    assert_as_unbroken(run, unbroken)


def test_a_signal_after_the_last_step_stops_before_the_results(tmp_path: Path, spec: Path, unbroken: Path) -> None:
    run = tmp_path / "run"
    code, stderr = finish(start_build("SIGTERM", "zoo.training.engine:evaluate", EPOCHS, "never", spec, run))
    assert code == 143
    assert stderr.splitlines()[-1] == "error: stopped after epoch 4; the state is saved: go on with --resume"
    assert checkpoints(run) == [EPOCHS * STEPS]
    assert resume(spec, run).exit_code == 0
    assert_as_unbroken(run, unbroken)


@pytest.fixture(scope="module")
def killed(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kill a run in its third epoch; it has a checkpoint of each of the two epochs before."""
    run = tmp_path_factory.mktemp("killed") / "run"
    code, _ = finish(start_build("SIGKILL", STEP, 15, "epoch", spec, run))
    assert code == -signal.SIGKILL
    assert checkpoints(run) == [6, 12]
    return run


@pytest.fixture
def half(killed: Path, tmp_path: Path) -> Path:
    """Copy that run."""
    return shutil.copytree(killed, tmp_path / "half")


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def alter(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(("damage", "words"), [(truncate, "is truncated"), (alter, "was altered")])
def test_a_damaged_checkpoint_gives_a_warning_and_the_same_weights(
    half: Path, spec: Path, unbroken: Path, damage: Callable[[bytes], bytes], words: str
) -> None:
    newest = half / "checkpoint" / "step-0000000012.safetensors"
    newest.write_bytes(damage(newest.read_bytes()))
    outcome = resume(spec, half)
    assert outcome.exit_code == 0, outcome.stderr
    (warning,) = [line for line in outcome.stderr.splitlines() if line.startswith("warning: ")]
    assert f"{newest}: {words}" in warning
    assert "trying the checkpoint before it" in warning
    assert "epoch 2/4" in outcome.stderr  # this epoch was trained again
    assert_as_unbroken(half, unbroken)


def test_without_an_undamaged_checkpoint_resuming_fails(half: Path, spec: Path) -> None:
    for file in (half / "checkpoint").iterdir():
        file.write_bytes(alter(file.read_bytes()))
    outcome = resume(spec, half)
    assert outcome.exit_code == 1
    assert outcome.stderr.splitlines()[-1] == (
        f"error: {half / 'checkpoint'}: all checkpoints are damaged; build again without --resume"
    )


def test_epochs_after_the_newest_checkpoint_are_not_listed_twice(half: Path, spec: Path, unbroken: Path) -> None:
    """The kill came while the record of the third epoch was written; the run is stopped again in that epoch."""
    with (half / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "train_l')
    code, stderr = finish(start_build("SIGTERM", STEP, 1, "never", spec, half, "--resume"))
    assert code == 143, stderr
    assert history(half) == history(unbroken)[:2]


def test_a_changed_spec_is_rejected(half: Path, spec: Path) -> None:
    before = contents(half)
    outcome = resume(spec, half, "training.epochs=5")
    assert outcome.exit_code == 1
    (line,) = outcome.stderr.splitlines()
    assert line.startswith(f"error: {half / 'spec.yaml'}:")
    assert "has 'epochs: 4' where the given spec has 'epochs: 5'" in line
    assert contents(half) == before


def test_a_run_of_a_version_with_fewer_fields_is_resumed(half: Path, spec: Path, unbroken: Path) -> None:
    fields = yaml.safe_load((half / "spec.yaml").read_text())
    del fields["training"]["freeze"], fields["description"]
    (half / "spec.yaml").write_text(yaml.safe_dump(fields))
    outcome = resume(spec, half)
    assert outcome.exit_code == 0, outcome.stderr
    assert history(half) == history(unbroken)


def test_a_checkpoint_of_another_model_is_rejected(half: Path, spec: Path, tmp_path: Path) -> None:
    """As after a change of a plugin: the spec is the same, but the model is not."""
    other = tmp_path / "other"
    settings = ["--set", "architecture.hidden_size=13", "--set", "training.epochs=1"]
    assert run_zoo("build", spec, "--out", other, "--device", "cpu", *settings).exit_code == 0
    shutil.rmtree(half / "checkpoint")
    shutil.copytree(other / "checkpoint", half / "checkpoint")
    outcome = resume(spec, half)
    assert outcome.exit_code == 1
    assert outcome.stderr.splitlines()[-1].startswith(f"error: {half / 'checkpoint'}: the checkpoint does not fit ")


def test_resuming_a_finished_run_changes_nothing(unbroken: Path, spec: Path, tmp_path: Path) -> None:
    run = shutil.copytree(unbroken, tmp_path / "run")
    before = contents(run)
    assert resume(spec, run).exit_code == 0
    before["README.md"] = before["README.md"].replace(
        bytes(unbroken), bytes(run)
    )  # it contains the command with the path
    assert contents(run) == before


def test_resuming_a_missing_run_is_wrong_usage(tmp_path: Path, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, name in (((), "runs/small"), (("--out", "nothing"), "nothing")):
        outcome = run_zoo("build", spec, "--resume", *arguments)
        assert outcome.exit_code == 2
        assert outcome.stderr == f"error: resume: there is no run {name}; leave resume out to start one\n"
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_wrong_usage(unbroken: Path, spec: Path) -> None:
    before = contents(unbroken)
    outcome = run_zoo("build", spec, "--out", unbroken)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"error: {unbroken}: exists already; continue it with --resume (in Python re")
    assert contents(unbroken) == before


def test_an_empty_folder_can_be_used(tmp_path: Path, spec: Path) -> None:
    outcome = run_zoo("build", spec, "--out", tmp_path, "--set", "training.epochs=1", "--device", "cpu")
    assert outcome.exit_code == 0, outcome.stderr
    assert (tmp_path / "model.safetensors").is_file()


def test_a_second_build_goes_beside_the_first_and_is_the_one_resumed(
    tmp_path: Path, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("build", spec, "--device", "cpu", "--set", "training.epochs=1")
    for name in ("small", "small-2"):
        outcome = run_zoo(*arguments)
        assert outcome.exit_code == 0, outcome.stderr
        assert outcome.stdout.startswith(f"runs/{name}: test loss ")
    assert sorted(path.name for path in Path("runs").iterdir()) == ["small", "small-2"]
    assert run_zoo(*arguments, "--resume").stdout.startswith("runs/small-2: ")


def test_a_second_signal_has_its_usual_effect() -> None:
    """The first signal is recorded; the second one calls the previous handler."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        with Interrupts() as interrupts:
            assert interrupts.received is None
            signal.raise_signal(signal.SIGTERM)
            assert interrupts.received == signal.SIGTERM
            assert not received
            signal.raise_signal(signal.SIGTERM)
            assert received == [signal.SIGTERM]
        signal.raise_signal(signal.SIGTERM)
        assert received == [signal.SIGTERM, signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
