"""The main job in Python: zoo.build, zoo.load and the methods of zoo.Run."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zoo
from tests.data.test_given import Frame, structured
from tests.support.command import run_zoo
from tests.support.specs import fields

SMALL = {"architecture.hidden_size": 8, "training.epochs": 2}
TINY = {"architecture.hidden_size": 4, "training.epochs": 1}
SUMS = {"architecture": {"name": "lstm", "hidden_size": 24}, "task": {"name": "regression"}, "training": {"epochs": 2}}
RANDOM = np.random.default_rng(0)
TABLES = [{"a": RANDOM.random(4 + number % 5), "b": RANDOM.random(4 + number % 5)} for number in range(60)]


def sums(seed: int = 0) -> zoo.Dataset:
    """Sequences of two columns with the sum of the first as the target."""
    return zoo.Dataset.from_arrays(TABLES, [float(x["a"].sum()) for x in TABLES], seed=seed, description="Sums.")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    """A run of the starter spec ``gru``, exported for the CPU."""
    run = zoo.build("gru", SMALL, out=tmp_path_factory.mktemp("library") / "gru", device="cpu")
    run.export(providers=["cpu"]).require_passed()
    return run


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    """A run of arrays, exported for the CPU."""
    run = zoo.build(SUMS, data=sums(), out=tmp_path_factory.mktemp("library") / "sums", device="cpu")
    run.export(providers=["cpu"]).require_passed()
    return run


def test_a_build_is_that_of_the_command(run: zoo.Run, tmp_path: Path) -> None:
    settings = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
    outcome = run_zoo("build", "gru", "--out", tmp_path / "gru", "--device", "cpu", *settings)
    assert outcome.exit_code == 0, outcome.stderr
    for name in ("spec.yaml", "model.safetensors", "sample.safetensors"):
        assert (tmp_path / "gru" / name).read_bytes() == (run.path / name).read_bytes()


def test_a_run_holds_its_results(run: zoo.Run) -> None:
    config = json.loads((run.path / "config.json").read_text())
    assert run.config == config
    assert run.metrics.test == run.metrics["test"] == config["test"]
    assert run.metrics.validation == config["validation"]
    assert run.metrics.baselines["majority"]["accuracy"] < 0.2
    assert [record.epoch for record in run.metrics.history] == [1, 2]
    best = run.metrics.history[run.metrics.best_epoch - 1].validation
    assert best.items() <= run.metrics.validation.items()
    assert run.metrics.validation.keys() - best.keys() == {"auroc", "average_precision"}  # of the best weights alone
    assert json.loads(json.dumps(run.metrics.to_dict()))["metric"] == "accuracy"
    assert (run.spec.name, run.spec.training.epochs) == ("gru", 2)
    assert run.model.parameter_count == config["parameters"]
    assert not run.model.training
    assert run.model is run.model
    assert repr(run) == f"<zoo.Run {run.path}>"


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = zoo.build("gru", SMALL, out=tmp_path / "gru", device="cpu")
    run.export(providers=["cpu"])
    run.check(providers=["cpu"])
    run.predict(np.zeros((5, 8)))
    run.compare()
    run.bench(providers=["cpu"], lowerings=["native"], batches=[1], times=[4], rounds=2)
    assert capfd.readouterr() == ("", "")


def test_progress_is_shown_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = zoo.build("gru", SMALL, out=tmp_path / "gru", device="cpu", progress=True)
    assert capsys.readouterr().err.count("epoch ") == 2
    run.export(providers=["cpu"], progress=True)
    captured = capsys.readouterr()
    assert "writing model.onnx" in captured.err
    assert captured.out == ""


def test_the_state_of_torch_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected, threads = torch.rand(2), torch.get_num_threads()
    torch.manual_seed(5)
    zoo.build("gru", SMALL, out=tmp_path / "gru", device="cpu")
    assert torch.equal(torch.rand(2), expected)
    assert torch.get_num_threads() == threads


def test_a_build_in_another_thread(tmp_path: Path) -> None:
    """Only the main thread can handle signals."""
    runs: list[zoo.Run] = []
    thread = threading.Thread(target=lambda: runs.append(zoo.build("gru", SMALL, out=tmp_path / "gru", device="cpu")))
    thread.start()
    thread.join()
    assert len(runs[0].metrics.history) == 2


SPEC = "data: {name: digits}\narchitecture: {name: rnn, hidden_size: 4}\ntask: {name: classification}\n"


@pytest.mark.parametrize(
    "overrides", [{"training.epochs": np.int64(1)}, ["training.epochs=1"], {"training": {"epochs": 1}}]
)
def test_a_spec_is_a_dictionary_or_that_of_a_run(
    overrides: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = zoo.build(fields(SPEC), overrides)
    assert run.path == Path("runs/rnn")
    assert run.spec.training.epochs == 1
    again = zoo.build(run.spec)
    assert again.path == Path("runs/rnn-2")
    assert again.spec.to_dict() == run.spec.to_dict()
    assert zoo.load().path == again.path
    assert zoo.load("runs/rnn").metrics == run.metrics


def test_a_training_is_resumed(tmp_path: Path) -> None:
    def interrupt(run: Path) -> None:
        """Leave the run as a kill after its last checkpoint would."""
        (run / "config.json").unlink()
        (run / "model.safetensors").unlink()

    data = sums()
    run = zoo.build(SUMS, data=data, out=tmp_path / "sums", device="cpu")
    weights = (run.path / "model.safetensors").read_bytes()
    interrupt(run.path)
    with pytest.raises(zoo.RunError, match="is not a finished run"):
        _ = zoo.load(run.path).metrics
    with pytest.raises(zoo.RunError, match=r"spec\.yaml:\d+: has 'sha256: \w+' where the given spec has 'sha256: "):
        zoo.build(SUMS, data=sums(seed=1), out=run.path, device="cpu", resume=True)
    zoo.build(SUMS, data=data, out=run.path, device="cpu", resume=True)
    assert (run.path / "model.safetensors").read_bytes() == weights


def test_a_run_of_arrays_states_where_its_data_are_from(given: zoo.Run) -> None:
    assert given.config["source"] == "arrays"
    assert given.config["data"].startswith("Given as arrays by a Python program. Sums. 60 sequences of 4 to 8 steps")
    card = (given.path / "README.md").read_text()
    assert f"run = zoo.build('{given.path}/spec.yaml', data=data)" in card
    assert "zoo build" not in card.partition("## Reproduce")[2]
    outcome = run_zoo("build", given.path / "spec.yaml", "--out", given.path.parent / "again")
    assert outcome.exit_code == 1
    assert "'arrays' stands for arrays that a Python program gave" in outcome.stderr


def test_a_run_of_arrays_repeats_from_its_own_spec(given: zoo.Run, tmp_path: Path) -> None:
    again = zoo.build(given.path / "spec.yaml", data=sums(), out=tmp_path / "again", device="cpu")
    assert (again.path / "model.safetensors").read_bytes() == (given.path / "model.safetensors").read_bytes()
    assert again.spec.to_dict() == given.spec.to_dict()


def test_a_run_of_arrays_is_proven_in_lower_precision(given: zoo.Run) -> None:
    """Its labels are not compared, since the validation part is not on disk, and the report states it."""
    proof = given.export(providers=["cpu"], precision="float16")
    assert proof.path == given.path / "onnx" / "model.fp16.onnx"
    assert "there is no file to load them from" in proof.report["against_float32"]["missing"]


def test_predictions_of_arrays(run: zoo.Run) -> None:
    x = RANDOM.random((3, 5, 8))
    (single,) = run.predict(x[0])
    assert single.answers[0].label in set("0123456789")
    assert [answer.answers for answer in run.predict(x)] == [answer.answers for answer in run.predict(list(x))]
    assert run.predict(torch.from_numpy(x))[0].answers == run.predict(x)[0].answers
    assert run.predict(x.tolist())[0].answers == run.predict(x)[0].answers
    assert json.loads(json.dumps(single.to_dict()))["answers"][0]["label"] == single.answers[0].label


def test_predictions_of_tables_take_columns_by_name(given: zoo.Run) -> None:
    table = TABLES[0]
    expected = given.predict(np.stack([table["a"], table["b"]], 1))[0].answers
    other = {"b": table["b"], "c": table["b"] * np.nan, "a": table["a"]}
    for form in (other, Frame(other), structured(other)):
        assert given.predict(form)[0].answers == expected
    first, second = given.predict(TABLES[:2])
    assert first.answers == expected
    assert second.answers[0].numbers["y"] > 0


def test_predictions_of_a_window(tmp_path: Path) -> None:
    """The last rows of a table, as the command reads them from a file."""
    run = zoo.build("forecast", TINY, out=tmp_path / "run", device="cpu")
    run.export(providers=["cpu"])
    columns = run.config["signature"]["columns"]
    table = {name: RANDOM.random(30) + 100 for name in columns}
    rows = np.stack([table[name] for name in columns], 1)
    assert run.predict(table)[0].answers == run.predict(rows[-run.config["signature"]["window"] :])[0].answers
    with pytest.raises(zoo.DataError, match="x: contains 5 rows, expected at least 20, the window of the model"):
        run.predict({name: values[:5] for name, values in table.items()})


def test_predictions_of_texts(tmp_path: Path) -> None:
    run = zoo.build("sentiment", TINY, out=tmp_path / "run", device="cpu")
    run.export(providers=["cpu"])
    texts = ["a good film", "not good"]
    answers = [prediction.answers for prediction in run.predict(texts)]
    assert [prediction.answers for prediction in run.predict(np.array(texts))] == answers
    assert run.predict(texts[0])[0].answers == answers[0]
    with pytest.raises(
        zoo.DataError, match="x: has no column 'text', the column of texts that the model was trained with; columns: a"
    ):
        run.predict({"a": [1]})


def test_a_new_export_is_used(tmp_path: Path) -> None:
    run = zoo.build("gru", SMALL, out=tmp_path / "gru", device="cpu")
    with pytest.raises(zoo.RunError, match="has not been exported yet"):
        run.predict(np.zeros((5, 8)))
    run.export(providers=["cpu"])
    before = run.predict(np.zeros((5, 8)))
    file = run.path / "onnx" / "model.onnx"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"\0")
    os.utime(file, ns=(0, 0))
    with pytest.raises(zoo.RunError, match="altered"):
        run.predict(np.zeros((5, 8)))
    file.write_bytes(content)
    assert run.predict(np.zeros((5, 8))) == before


def test_a_proof_has_path_verdict_and_report(run: zoo.Run) -> None:
    proof = run.check(providers=["cpu"])
    assert proof.path == run.path / "onnx" / "model.onnx"
    assert (proof.verdict, proof.passed, proof.reasons) == ("passed", True, ())
    assert proof.report == json.loads((run.path / "onnx" / "parity.json").read_text())
    assert run.check(proof.path, providers=["cpu"]).path.samefile(proof.path)
    assert json.loads(json.dumps(proof.to_dict()))["path"] == str(proof.path)


def test_the_proof_of_a_stream_follows_that_of_the_whole(run: zoo.Run) -> None:
    proof = run.export(streaming=True, providers=["cpu"])
    assert proof.path.name == "model.stream.onnx"
    assert [other.path.name for other in proof.others] == ["model.onnx"]
    assert proof.require_passed() is proof


def test_a_proof_is_repeated_with_its_seed(run: zoo.Run) -> None:
    proof = run.check(providers=["cpu"])
    again = run.check(providers=["cpu"], seed=proof.report["seed"])
    assert again.report["cases"] == proof.report["cases"]
    more = run.check(providers=["cpu"], seed=7, thorough=True)
    assert (more.report["seed"], more.report["thorough"]) == (7, True)
    assert len(more.report["cases"]) > len(proof.report["cases"])
    exported = run.export(providers=["cpu"], seed=7)
    assert (exported.report["seed"], exported.report["thorough"]) == (7, False)


def test_gates_and_states_of_a_sequence(run: zoo.Run, tmp_path: Path) -> None:
    """The same numbers for the sample and for its values as an array; the last state is what the head reads."""
    gates = run.gates(row=3)
    assert [(part.kind, part.name) for part in gates.series] == [
        ("gate", "z"), ("gate", "r"), ("gate", "n"), ("state", "h")
    ]  # fmt: skip
    x = zoo.load(run.path)._folder.sample().x[3].numpy()
    same = run.gates(x)
    assert same.source == "x[0]"
    for part, other in zip(gates.series, same.series, strict=True):
        assert np.array_equal(part.values, other.values)
    assert run.gates([x[:2], x], row=1).series[0].values.tolist() == same.series[0].values.tolist()
    picture = gates.picture(dpi=50)
    assert picture.png == picture._repr_png_() == picture.save(tmp_path / "gates.png").read_bytes()
    assert len(gates.picture().png) > len(picture.png)
    with pytest.raises(zoo.UsageError, match=r"^layer 0, reverse: has no gates or states here, which are of layer 0, "):
        gates.picture(direction="reverse")
    with pytest.raises(zoo.UsageError, match=r"^row 1: expected 0, since x has 1 sequence$"):
        run.gates(x, row=1)
    with pytest.raises(zoo.DataError, match=r"^x\[0\]: has the shape \(8, 3\), expected \(time, 8\)"):
        run.gates(x[:, :3])


def test_gradients_of_runs(run: zoo.Run, given: zoo.Run) -> None:
    result = run.gradients(given)
    assert list(result.runs) == ["gru", "sums"]
    assert [curve.state for curve in result.runs["sums"].curves] == ["h", "c"]
    assert result.picture(dpi=50).png[:4] == b"\x89PNG"
    initial = run.gradients(untrained=True)
    assert (initial.weights, list(initial.runs)) == ("untrained", ["gru"])
    assert initial.runs["gru"].loss > result.runs["gru"].loss


def test_a_proof_that_fails_is_an_answer() -> None:
    good, bad = zoo.Proof(Path("a"), "passed", {"reasons": []}), zoo.Proof(Path("b"), "failed", {"reasons": ["wrong"]})
    proof = zoo.Proof(good.path, good.verdict, good.report, (bad,))
    assert good.passed
    assert not proof.passed
    with pytest.raises(zoo.ParityError, match=r"^b: failed: wrong$"):
        proof.require_passed()


def test_runs_are_compared_and_measured(run: zoo.Run, tmp_path: Path) -> None:
    other = zoo.build("gru", {**SMALL, "architecture.hidden_size": 4}, out=tmp_path / "other", device="cpu")
    comparison = run.compare(other)
    assert [group.label for group in comparison.groups] == ["gru, hidden_size 8", "gru, hidden_size 4"]
    bench = run.bench(providers=["cpu"], lowerings=["native"], batches=[1], times=[4], rounds=2)
    assert [row.name for row in bench.blocks[0].rows] == ["onnx native", "torch fused", "torch cell"]
    assert bench.to_dict()["blocks"][0]["time"] == 4


def test_faults_of_arguments(run: zoo.Run, tmp_path: Path) -> None:
    data, out = sums(), tmp_path / "out"
    spec: dict[str, Any] = fields(SPEC)
    faults: dict[type[zoo.ZooError], dict[str, Any]] = {
        zoo.SpecError: {
            "the spec: architecture.size: is not a field here": lambda: zoo.build(
                {**spec, "architecture": {"name": "rnn", "size": 3}}
            ),
            "the override 'training.epochs': training.epochs: must be an integer": lambda: zoo.build(
                spec, {"training.epochs": "x"}
            ),
            "the override 'training.seed': holds a value of type object": lambda: zoo.build(
                spec, {"training.seed": object()}
            ),
            "the spec: data: is required": lambda: zoo.build(SUMS),
        },
        zoo.UsageError: {
            "gruu: there is no such file; 'zoo build gru'": lambda: zoo.build("gruu"),
            "spec: expected a path, a name or a dictionary, got a int": lambda: zoo.build(3),  # type: ignore[arg-type]
            "the override 'data.window': has no effect": lambda: zoo.build(SUMS, {"data.window": 3}, data=data),
            "the override '': expected a field": lambda: zoo.build(spec, {"": 3}),
            "overrides: expected a dict or a list": lambda: zoo.build(spec, "training.epochs=3"),
            "data: expected a zoo.Dataset, got a list": lambda: zoo.build(SUMS, data=[1]),  # type: ignore[arg-type]
            "exists already": lambda: zoo.build(spec, out=run.path),
            "cannot be used here": lambda: zoo.build(spec, device="meta", out=out),
            "lowering: expected one of auto": lambda: run.export(lowering="fast"),  # type: ignore[arg-type]
            "precision: expected one of float32": lambda: run.export(precision="int4"),  # type: ignore[arg-type]
            "providers: expected one of cpu, cuda, got 'tpu'": lambda: run.check(providers=["tpu"]),  # type: ignore[list-item]
            "provider: expected one of": lambda: run.predict([], provider="tpu"),  # type: ignore[arg-type]
            "expected positive integers": lambda: run.bench(batches=[0]),
        },
        zoo.PluginError: {"no installed plugin provides the exporter 'tflite'": lambda: run.export(format="tflite")},
        zoo.RunError: {
            "nowhere: is not a run": lambda: zoo.load("nowhere"),
            "is not an exported file of the run": lambda: run.check(run.path / "spec.yaml"),
        },
        zoo.DataError: {
            "sequence [0]: is a text, and this model takes numbers": lambda: run.predict("text"),
            "x: is of type int, expected arrays": lambda: run.predict(3),
            "expected (time, 8)": lambda: run.predict(np.zeros(8)),
        },
    }
    for kind, calls in faults.items():
        for expected, call in calls.items():
            with pytest.raises(kind) as raised:
                call()
            assert expected in str(raised.value)
            assert type(raised.value) is kind
    assert not out.exists()


def test_repeated_sequences_are_a_warning(tmp_path: Path) -> None:
    data = zoo.Dataset.from_arrays(np.zeros((30, 3, 1)), np.arange(30) % 2)
    spec = {
        "architecture": {"name": "rnn", "hidden_size": 2},
        "task": {"name": "classification"},
        "training": {"epochs": 1},
    }
    run = zoo.build(spec, data=data, out=tmp_path / "run", device="cpu")
    assert any(
        "also occur in the training part: a model may have memorised them" in warning for warning in run.warnings
    )
    assert any("the same prediction for every test sequence" in warning for warning in run.warnings)
