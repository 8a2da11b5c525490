"""`zoo export --streaming` and `zoo check` of its two files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import zoo
from tests.support.command import Outcome, contents, run_zoo
from tests.support.models import draw
from tests.support.runs import build_run
from zoo.runtime import OnnxModel
from zoo_onnx.states import States


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = build_run(tmp_path_factory.mktemp("runs"), "lstm", "training.epochs=1")
    assert export(run).exit_code == 0
    return run


@pytest.fixture
def run(exported: Path, tmp_path: Path) -> Path:
    """A copy of a run exported with --streaming, free to be changed."""
    return Path(shutil.copytree(exported, tmp_path / "lstm"))


def export(run: Path, *options: str) -> Outcome:
    return run_zoo("export", run, "--onnx", "--streaming", "--provider", "cpu", *options)


def test_export_and_check_report_both_files(run: Path) -> None:
    folder = run / "onnx"
    assert {file.name for file in folder.iterdir()} == {
        *("model.onnx", "model.stream.onnx"),
        *("parity.json", "parity.stream.json"),
    }
    exported = json.loads(export(run, "--json").stdout)
    checked = json.loads(run_zoo("check", run, "--provider", "cpu", "--json").stdout)
    for report in (exported, checked):
        (further,) = report.pop("further")
        for proof, name in ((report, "model.onnx"), (further, "model.stream.onnx")):
            assert (proof["path"], proof["file"], proof["verdict"]) == (str(folder / name), name, "passed")
    assert json.loads((folder / "parity.stream.json").read_text())["file"] == "model.stream.onnx"
    shown = run_zoo("check", run, "--provider", "cpu").stdout
    for name in ("model.onnx", "model.stream.onnx"):
        assert f"parity of {folder / name}: passed\n" in shown
        assert f"| `{name}` | float32 |" in (run / "README.md").read_text()


def test_metadata_of_the_streaming_file(run: Path) -> None:
    metadata = OnnxModel(run / "onnx" / "model.stream.onnx").metadata
    assert {"states", "takes", "signature", "spec", "golden_input", "golden_logits", "sha256"} <= metadata.keys()
    assert json.loads(metadata["parity"])["verdict"] == "passed"


def test_check_of_a_single_file(run: Path) -> None:
    path = run / "onnx" / "model.stream.onnx"
    outcome = run_zoo("check", path, "--provider", "cpu", "--json")
    assert json.loads(outcome.stdout)["path"] == str(path)
    assert "further" not in json.loads(outcome.stdout)
    file = onnx.load(path)
    file.graph.initializer[0].raw_data = bytes(reversed(file.graph.initializer[0].raw_data))
    onnx.save(file, path)
    outcome = run_zoo("check", run, "--provider", "cpu")
    assert outcome.exit_code == 4
    assert outcome.stderr.startswith(f"error: {path}: failed: ")
    assert "was altered since it was exported" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_a_stream_that_fails_replaces_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is saved in rejected/, with its report; the file for whole sequences stays."""
    before = contents(run)
    with monkeypatch.context() as patch:
        start = States.start

        def dropped(self: States, part: zoo.StatePart) -> ir.Value:
            start(self, part)
            return self._initial(part)

        patch.setattr(States, "start", dropped)
        outcome = export(run)
    rejected = run / "onnx" / "rejected"
    assert outcome.exit_code == 4
    assert outcome.stderr.startswith(f"error: {rejected / 'model.stream.onnx'}: failed: cpu: logits: error ")
    assert {file.name for file in rejected.iterdir()} == {"model.stream.onnx", "parity.stream.json"}
    for name in ("onnx/model.onnx", "onnx/model.stream.onnx", "onnx/parity.stream.json"):
        assert contents(run)[name] == before[name]


@pytest.mark.parametrize(
    ("architecture", "setting", "reason"),
    [
        (
            "bilstm",
            "architecture.num_layers=1",
            "a bidirectional model reads from the end of a sequence, which a stream does not have yet; leave "
            "streaming out and give the file whole sequences, or pieces of the stream that overlap, or build a model "
            "with an architecture that reads forward, which changes its accuracy",
        ),
        (
            "gru",
            "architecture.direction=reverse",
            "a reverse model reads from the end of a sequence, which a stream does not have yet; leave streaming "
            "out and give the file whole sequences, or pieces of the stream that overlap, or build a model with "
            "architecture.direction=forward, which changes its accuracy",
        ),
        (
            "rnn",
            "architecture.pooling=mean",
            "pooling 'mean' needs every step of a sequence, and a stream keeps none of them; leave streaming out and "
            "give the file whole sequences, or pieces of the stream, or build a model with architecture.pooling=last, "
            "or for a task that answers at each step",
        ),
    ],
)
def test_models_that_cannot_stream(architecture: str, setting: str, reason: str, tmp_path: Path) -> None:
    """One line of error, and no file is written, not even the one for whole sequences."""
    run = build_run(tmp_path, architecture, "training.epochs=1", setting)
    before = contents(run)
    outcome = export(run)
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (1, "", f"error: streaming: {reason}\n")
    assert contents(run) == before


def test_predict_rejects_a_streaming_file(run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", draw(2, 8))
    path = run / "onnx" / "model.stream.onnx"
    outcome = run_zoo("predict", path, "--input", tmp_path / "x.npy")
    assert outcome.exit_code == 1
    assert outcome.stderr == (
        f"error: {path}: is for chunks, not for whole sequences; call stream(), or name a file that 'zoo export "
        "--onnx' made without --streaming\n"
    )
