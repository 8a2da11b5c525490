"""Use of an exported file: `zoo predict` and its session, `zoo inspect`, `zoo doctor`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import zoo
from tests.support.command import run_zoo
from tests.support.files import rewrite
from tests.support.models import draw, make_model, write
from tests.support.runs import build_exported_run, build_run
from zoo.parity import Array, compare
from zoo.plugins.registry import load_registry
from zoo.proof.oracle import Oracle
from zoo.run.run import Run
from zoo.runtime.providers import unavailable
from zoo.runtime.session import OnnxSession


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_exported_run(tmp_path_factory.mktemp("runs"), "gru", "training.epochs=5")


@pytest.fixture(scope="module")
def digits(run: Path) -> Array:
    """Test sequences in the units of the user: grey values from 0 to 16."""
    sequences: Array = Run(run).sample().x.numpy()
    assert (sequences.min(), sequences.max()) == (0, 16)
    return sequences[:20]


def save(folder: Path, name: str, array: Array) -> Path:
    path = folder / name
    if path.suffix == ".csv":
        np.savetxt(path, array, delimiter=",")
    else:
        np.save(path, array)
    return path


# --- the command ----------------------------------------------------------------------------------------------------


def test_predictions_agree_with_torch(run: Path, digits: Array, tmp_path: Path) -> None:
    """The labels are equal, and the probabilities are within their budgets."""
    _, task, model = Run(run).load(load_registry())
    outcome = run_zoo("predict", run, "--input", save(tmp_path, "digits.npy", digits), "--json")
    assert outcome.exit_code == 0, outcome.stderr
    answers = [prediction["answers"][0] for prediction in json.loads(outcome.stdout)["predictions"]]
    labels = task.signature.labels
    with torch.inference_mode():
        expected = model.outputs(torch.from_numpy(digits))["probabilities"].numpy()
    assert [answer["label"] for answer in answers] == [labels[row.argmax()] for row in expected]
    assert [list(answer["probabilities"]) for answer in answers] == [list(labels)] * len(digits)
    actual = np.array([list(answer["probabilities"].values()) for answer in answers])
    verdict = compare(Oracle(model).expect(digits)["probabilities"], actual.astype(np.float32))
    assert verdict.status == "passed", verdict.reason
    assert len({answer["label"] for answer in answers}) > 1


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_units_and_dtypes_of_the_user(run: Path, digits: Array, dtype: str, tmp_path: Path) -> None:
    """Grey values are integers, which every dtype represents exactly."""
    converted = run_zoo("predict", run, "--input", save(tmp_path, "a.npy", digits.astype(dtype)), "--json").stdout
    original = run_zoo("predict", run, "--input", save(tmp_path, "a.npy", digits), "--json").stdout
    assert converted == original


def test_csv_and_npy_agree(run: Path, digits: Array, tmp_path: Path) -> None:
    paths = [save(tmp_path, "one.npy", digits[0]), save(tmp_path, "one.csv", digits[0])]
    outcome = run_zoo("predict", run, "--input", paths[0], "--input", paths[1], "--json")
    first, second = json.loads(outcome.stdout)["predictions"]
    assert (first.pop("source"), second.pop("source")) == tuple(map(str, paths))
    assert first == second


@pytest.mark.parametrize("steps", [1, 3, 100])
def test_any_number_of_steps(run: Path, steps: int, tmp_path: Path) -> None:
    outcome = run_zoo("predict", run, "--input", save(tmp_path, "a.npy", draw(2, steps)), "--json")
    assert outcome.exit_code == 0, outcome.stderr
    for prediction in json.loads(outcome.stdout)["predictions"]:
        total = sum(prediction["answers"][0]["probabilities"].values())
        assert total == pytest.approx(1, abs=10 * 2**-23)  # ten rounded terms


def test_lines(run: Path, digits: Array, tmp_path: Path) -> None:
    path = save(tmp_path, "a.npy", digits[:3])
    outcome = run_zoo("predict", run, "--input", path, "--top", 2)
    lines = outcome.stdout.splitlines()
    probabilities = OnnxSession(run / "onnx" / "model.onnx").run(digits[:3])["probabilities"]
    for number, (line, row) in enumerate(zip(lines, probabilities, strict=True)):
        best = np.argsort(-row)[:2]
        assert line == f"{path}[{number}]: " + ", ".join(f"{label} {row[label]:.1%}" for label in best)


def test_the_file_is_enough(run: Path, digits: Array, tmp_path: Path) -> None:
    """The file predicts without its run."""
    alone = tmp_path / "model.onnx"
    shutil.copy(run / "onnx" / "model.onnx", alone)
    path = save(tmp_path, "a.npy", digits)
    by_file = run_zoo("predict", alone, "--input", path, "--json")
    assert (by_file.exit_code, by_file.stdout) == (0, run_zoo("predict", run, "--input", path, "--json").stdout)


def test_no_torch_is_imported(run: Path, digits: Array, tmp_path: Path) -> None:
    path = save(tmp_path, "a.npy", digits)
    code = "import sys, zoo.cli.main as m; m.cli(standalone_mode=False); sys.exit(10 * ('torch' in sys.modules))"
    command = [sys.executable, "-c", code, "predict", str(run), "--input", str(path)]
    outcome = subprocess.run(command, capture_output=True, text=True)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert len(outcome.stdout.splitlines()) == len(digits)


def with_verdict(path: Path, verdict: str) -> Path:
    """Rewrite the file with another verdict of its proof."""
    file = onnx.load(path)
    for entry in file.metadata_props:
        if entry.key == "parity":
            entry.value = json.dumps({**json.loads(entry.value), "verdict": verdict})
    return rewrite(path, file)


def test_a_file_that_did_not_pass_its_proof(run: Path, digits: Array, tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    shutil.copy(run / "onnx" / "model.onnx", model)
    arguments = ("predict", with_verdict(model, "failed"), "--input", save(tmp_path, "a.npy", digits))
    outcome = run_zoo(*arguments)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith(f"error: {model}: did not pass its proof, whose verdict is 'failed'; take a file")
    allowed = run_zoo(*arguments, "--rejected", "--json")
    original = run_zoo("predict", run, "--input", tmp_path / "a.npy", "--json")
    assert (allowed.exit_code, allowed.stdout) == (0, original.stdout)


# --- invalid inputs -------------------------------------------------------------------------------------------------


def refused(exit_code: int, *arguments: object) -> str:
    outcome = run_zoo("predict", *arguments)
    assert outcome.exit_code == exit_code
    assert outcome.stdout == ""
    assert outcome.stderr.count("\n") == 1
    return outcome.stderr


def test_nothing_to_predict_with(digits: Array, tmp_path: Path) -> None:
    path = save(tmp_path, "a.npy", digits)
    assert "nowhere: does not exist" in refused(1, "nowhere", "--input", path)
    run = build_run(tmp_path, "rnn", "training.epochs=1")
    assert f"{run}: has not been exported yet; do it with 'zoo export --onnx'" in refused(1, run, "--input", path)


def test_a_file_that_is_no_model(digits: Array, tmp_path: Path) -> None:
    path, model = save(tmp_path, "a.npy", digits), tmp_path / "model.onnx"
    model.write_bytes(b"hello")
    assert f"{model}: is not an ONNX file, or only a part of one (" in refused(1, model, "--input", path)
    write(make_model("lstm"), tmp_path)
    assert f"{model}: carries no signature" in refused(1, model, "--input", path)
    foreign(model, ["batch", 8])
    assert f"{model}: carries no seal, so Recurrent Zoo did not write it" in refused(1, model, "--input", path)


@pytest.mark.parametrize("shape", [["batch", 8], ["batch", "time", "features"], ["a", "b", "c", 8]])
def test_a_file_with_another_input(shape: list[str | int], tmp_path: Path) -> None:
    foreign(tmp_path / "foreign.onnx", shape)
    with pytest.raises(zoo.RunError, match=r"does not take an input 'x'"):
        OnnxSession(tmp_path / "foreign.onnx")


def foreign(path: Path, shape: list[str | int]) -> None:
    """Write a model that Recurrent Zoo did not export."""
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in "xy"]
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "foreign", values[:1], values[1:])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9), path)


@pytest.mark.skipif(unavailable("cuda") is None, reason="CUDA can run here")
def test_cuda_that_is_absent(run: Path, digits: Array, tmp_path: Path) -> None:
    line = refused(5, run, "--provider", "cuda", "--input", save(tmp_path, "a.npy", digits))
    assert line == f"error: cuda: unavailable: {unavailable('cuda')}\n"


@pytest.mark.parametrize("shape", [(8, 9), (2, 8, 7), (8,), (0, 8), (0, 8, 8), (2, 0, 8)])
def test_shapes_that_do_not_fit(run: Path, shape: tuple[int, ...], tmp_path: Path) -> None:
    path = save(tmp_path, "a.npy", np.zeros(shape))
    assert f"{path}: has the shape {shape}, expected" in refused(1, run, "--input", path)


@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm", "gru_after"])
@pytest.mark.parametrize("shape", [(0, 5, 8), (2, 0, 8), (0, 0, 8)])
def test_session_refuses_what_aborts_the_process(kind: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    """ONNX Runtime's LSTM and GRU abort the process on an empty batch, the GRU also on zero steps."""
    session = OnnxSession(write(make_model(kind), tmp_path))
    with pytest.raises(zoo.DataError) as caught:
        session.run(np.zeros(shape, np.float32))
    assert str(caught.value) == f"model.onnx: needs at least one sequence and one step, got {shape}"
    assert session.run(draw(1, 1))["logits"].shape == (1, 10)  # the session still works


@pytest.mark.parametrize("shape", [(2, 5, 9), (2, 5, 7), (5, 8), (2, 5, 8, 1)])
def test_session_refuses_other_features(shape: tuple[int, ...], tmp_path: Path) -> None:
    session = OnnxSession(write(make_model("lstm"), tmp_path))
    with pytest.raises(zoo.DataError) as caught:
        session.run(np.zeros(shape, np.float32))
    assert str(caught.value) == f"model.onnx: takes (batch, time, 8), got {shape}; reshape the input"


# --- inspect and doctor ---------------------------------------------------------------------------------------------


def test_inspect(run: Path) -> None:
    outcome = run_zoo("inspect", run / "onnx" / "model.onnx")
    assert outcome.exit_code == 0
    lines = [" ".join(line.split()) for line in outcome.stdout.splitlines()]
    for expected in (
        f"written by recurrent-zoo {zoo.__version__}",
        "opset ai.onnx 20",
        "IR version 9",
        "x float (batch, time, 8)",
        "logits float (batch, 10)",
        "probabilities float (batch, 10)",
        "layer_0/gru GRU 8 -> 12, forward, reset after",
        "readout/softmax Softmax",
        "golden_input float32 (2, 8, 8), .npy in base64, 856 characters",
    ):
        assert expected in lines


def test_inspect_as_json(run: Path) -> None:
    summary = json.loads(run_zoo("inspect", run / "onnx" / "model.onnx", "--json").stdout)
    assert summary["schema_version"] == 1
    assert summary["inputs"] == {"x": "float (batch, time, 8)"}
    assert ["layer_0/gru", "GRU", "8 -> 12, forward, reset after"] in summary["nodes"]
    _, _, model = Run(run).load(load_registry())
    # The parameters, mean and deviation, and the axis by which the final state of one direction is squeezed.
    assert summary["facts"]["numbers in weights"] == f"{model.parameter_count + 2 * 8 + 1:,}"


@pytest.mark.parametrize(
    ("kind", "direction", "note"),
    [
        ("rnn_relu", "bidirectional", "8 -> 5, bidirectional, Relu/Relu"),
        ("rnn_tanh", "reverse", "8 -> 5, reverse"),
        ("gru_before", "forward", "8 -> 5, forward, reset before"),
        ("lstm", "forward", "8 -> 5, forward"),
    ],
)
def test_inspect_describes_each_layer(kind: str, direction: str, note: str, tmp_path: Path) -> None:
    path = write(make_model(kind, direction=direction), tmp_path, lowering="native")
    summary = json.loads(run_zoo("inspect", path, "--json").stdout)
    assert note in [node[2] for node in summary["nodes"]]


@pytest.mark.parametrize(
    ("name", "content", "exit_code", "reason"),
    [
        ("a.onnx", b"", 1, "holds no ONNX model"),
        ("a.onnx", b"hello", 1, "cannot be read as ONNX: "),
        ("a.onnx", None, 1, "does not exist"),
        ("a.txt", b"hello", 2, "expected a run, or a file that ends in .onnx"),
    ],
)
def test_inspect_refuses(name: str, content: bytes | None, exit_code: int, reason: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    outcome = run_zoo("inspect", path)
    assert outcome.exit_code == exit_code
    assert outcome.stderr.startswith(f"error: {path}: {reason}")
    assert outcome.stderr.count("\n") == 1


def test_doctor() -> None:
    outcome = run_zoo("doctor", "--json")
    report = json.loads(outcome.stdout)
    assert report["providers"] == {"cpu": "ready", "cuda": unavailable("cuda") or "ready"}
    assert report["versions"]["torch"] == installed_version("torch")
    assert outcome.exit_code == (1 if report["faults"] else 0)
    lines = [" ".join(line.split()) for line in run_zoo("doctor").stdout.splitlines()]
    assert "cpu ready" in lines
    assert f"cuda {f'unavailable: {reason}' if (reason := unavailable('cuda')) else 'ready'}" in lines
