"""`zoo bisect`: the node and the step that it names, and the folder that it writes."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import zoo
from tests.bisect.seeded import FAULTS, MODELS, Seeded, altered, find, move, prepared
from tests.exporters.eight_bits import as_int8, cut_off, exact
from tests.proof.mutants import Graph
from tests.support.builders import DIRECTIONS
from tests.support.command import run_zoo
from tests.support.models import draw, make_model, sequences
from tests.support.runs import build_run
from zoo.bisect import bisect, open_suspect
from zoo.bisect.inside import Inspector, first_error
from zoo.cli.target import suspect
from zoo.exporting.dissection import ModelValue
from zoo.parity import Expected
from zoo.plugins.registry import load_registry
from zoo.proof.oracle import Oracle
from zoo.proof.trace import trace
from zoo.run.run import Run
from zoo.runtime.session import OnnxSession
from zoo_onnx import OnnxExporter, operators
from zoo_onnx.dissection import products


def reproduced(folder: Path) -> int:
    """Run the script and return its exit code."""
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(folder / "reproduce.py"))
    return int(caught.value.code or 0)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.fault.replace(" ", "_"))
def test_a_seeded_fault_is_named(fault: Seeded, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Node and step are exact, on the smallest possible input; the piece fails by itself."""
    path, node = altered(fault, tmp_path)
    report = find(path, fault.model, tmp_path / "bisect")
    assert (report["verdict"], report["node"], report["step"]) == ("failed", node, fault.step)
    assert (report["case"]["batch"], report["case"]["time"]) == (1, fault.steps)
    assert report["over_budget"] > 1
    written = json.loads((tmp_path / "bisect" / "report.json").read_text())
    assert (written["node"], written["what"]) == (node, report["what"])
    assert reproduced(tmp_path / "bisect") == 1
    assert "times its budget" in capsys.readouterr().out


def test_the_piece_passes_once_it_is_repaired(tmp_path: Path) -> None:
    """The fault alone makes the script fail; the script needs neither torch nor onnx."""
    fault = next(fault for fault in FAULTS if fault.fault == "one recurrent weight")
    path, node = altered(fault, tmp_path)
    folder = tmp_path / "bisect"
    find(path, fault.model, folder)
    piece = onnx.load(folder / "minimal.onnx")
    assert [each.name for each in piece.graph.node] == [node]
    move("layer_1/lstm/R", node, (0, 3, 2), -0.3)(Graph(piece))
    onnx.save(piece, folder / "minimal.onnx")
    script = (folder / "reproduce.py").read_text()
    alone = (
        f"import sys; sys.modules.update(torch=None, onnx=None)\n__file__ = {str(folder / 'reproduce.py')!r}\n{script}"
    )
    done = subprocess.run([sys.executable, "-c", alone], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(script.splitlines()) <= 11


@pytest.mark.parametrize("name", MODELS)
def test_every_value_of_a_good_file_is_good(name: str, tmp_path: Path) -> None:
    own = prepared(name)
    probes = OnnxExporter().dissect(own.path).probes(tmp_path / "copy.onnx")
    cases = own.expectations.cases
    inspector = Inspector(Oracle(own.model), OnnxSession(own.path), tmp_path / "copy.onnx", probes, "float32", cases)
    kinds = {probe.value.kind for probe in probes}
    assert {"encoded", "output", "scores", "named"} <= kinds
    assert ("state" in kinds) == (name in ("mgu", "peephole"))
    for case in cases:
        inspection = inspector.inspect(case)
        assert len(inspection.values) == len(probes)
        assert [value.probe.value for value in inspection.values if value.comparison.status != "passed"] == []


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("mgu", {"states": True}),
        ("lstm", {"streaming": True}),
        ("mgu", {"lowering": "unrolled", "steps": 4}),
        ("clockwork", {}),
        ("gru_before", {"lowering": "scan"}),
        ("gru_after", {"precision": "bfloat16"}),
    ],
    ids=str,
)
def test_a_file_of_any_form(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    """A good file passes; a file with a wrong weight fails, and the layer of that weight is named."""
    model = make_model(kind, hidden_size=16, num_layers=2)
    path = tmp_path / "model.onnx"
    metadata = {name: str(value) for name, value in options.items() if name in ("lowering", "steps", "precision")}
    OnnxExporter().export(model, path, metadata, zoo.ExportOptions(**options))
    sample = sequences(draw(4, 8))
    good = open_suspect(path, model, OnnxExporter(), sample, lambda *_: None)
    assert bisect(good, tmp_path / "bisect", lambda *_: None)["verdict"] == "passed"
    assert not (tmp_path / "bisect").exists()
    file = onnx.load(path)
    graph = Graph(file)
    names = [tensor.name for tensor in graph.graph.initializer]
    second = [name for name in names if "layer_1" in name or "layers.1" in name]
    weight = next(name for name in second if (graph.weight(name).ndim > 1 and "2h" in name) or name.endswith("/W"))
    graph.set(weight, (graph.weight(weight).astype(np.float32) * 1.5).astype(graph.weight(weight).dtype))
    onnx.save(file, path)
    OnnxExporter().annotate(path, {})
    bad = open_suspect(path, model, OnnxExporter(), sample, lambda *_: None)
    report = bisect(bad, tmp_path / "bisect", lambda *_: None)
    assert report["verdict"] == "failed"
    assert report["node"].startswith("layer_1/")
    assert "numbers, the most by" in report["what"]
    assert report["last_good"].startswith("layer 0")
    assert reproduced(tmp_path / "bisect") == 1


def test_a_fault_of_the_exporter_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh export has it too: the report names the node of the first bad value, and the exporter as the cause."""
    monkeypatch.setitem(operators.GATES, "LSTM", "oifc")
    model = make_model("lstm", hidden_size=8, num_layers=2)
    path = tmp_path / "model.onnx"
    OnnxExporter().export(model, path, {}, zoo.ExportOptions())
    suspect = open_suspect(path, model, OnnxExporter(), sequences(draw(4, 8)), lambda *_: None)
    report = bisect(suspect, tmp_path / "bisect", lambda *_: None)
    assert (report["node"], report["last_good"]) == ("layer_0/lstm", "encoded")
    assert report["what"].startswith("nothing differs from a fresh export")
    assert reproduced(tmp_path / "bisect") == 1


@pytest.mark.parametrize(("kind", "node", "count"), [("lstm", "layer_0/lstm", 1), ("mgu", "layer_0/mgu/project/", 3)])
def test_products_that_the_cpu_gets_wrong(
    kind: str, node: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come first, since they are wrong in any file; where the CPU is right, only differences are reported.

    In the minimal gated unit they are the projection and both products in the body of its Scan, but not the head's.
    """
    model = make_model(kind, hidden_size=32)
    path = tmp_path / "model.onnx"
    OnnxExporter().export(model, path, {"precision": "int8"}, zoo.ExportOptions(precision="int8"))
    file = onnx.load(path)
    graph = Graph(file)
    for name in [each.name for each in graph.graph.initializer if "scales" in each.name and "head" not in each.name]:
        graph.set(name, graph.weight(name) * np.float32(2))
    onnx.save(file, path)
    as_int8(path)
    suspect = open_suspect(path, model, OnnxExporter(), sequences(draw(4, 8)), lambda *_: None)
    monkeypatch.setattr(products, "multiply", cut_off)
    report = bisect(suspect, tmp_path / "bisect", lambda *_: None)
    assert report["node"].startswith(node)
    assert sum("this CPU gives" in cause["what"] for cause in (report, *report["others"])) == count
    assert len(report["others"]) >= count  # differences from a fresh export come after them
    assert re.match(r"this CPU gives -?[\d,]+ in place of -?[\d,]+ for products of uint8 with int8: ", report["what"])
    assert "export the run again" in report["what"]
    monkeypatch.setattr(products, "multiply", exact)
    report = bisect(suspect, tmp_path / "bisect", lambda *_: None)
    assert "this CPU" not in json.dumps(report)


def test_a_fault_of_the_exporter_in_eight_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Current weights are exact on any CPU: nothing differs, so the report names the exporter."""
    monkeypatch.setitem(operators.GATES, "LSTM", "oifc")
    monkeypatch.setattr(products, "multiply", cut_off)
    model = make_model("lstm", hidden_size=16)
    path = tmp_path / "model.onnx"
    OnnxExporter().export(model, path, {"precision": "int8"}, zoo.ExportOptions(precision="int8"))
    suspect = open_suspect(path, model, OnnxExporter(), sequences(draw(4, 8)), lambda *_: None)
    report = bisect(suspect, tmp_path / "bisect", lambda *_: None)
    assert report["what"].startswith("nothing differs from a fresh export")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("lengths", [None, [5, 2, 4]], ids=["full", "lengths"])
def test_the_trace_is_what_the_model_computes(direction: str, lengths: list[int] | None) -> None:
    model = Oracle(make_model("peephole_lstm", hidden_size=4, num_layers=2, direction=direction)).model
    x = torch.from_numpy(draw(3, 5)).double()
    valid = None if lengths is None else torch.tensor(lengths)
    start = {place.name: torch.rand(3, 4).double() for place in model.state_places()}
    with torch.no_grad():
        values = trace(model, x, valid, start)
        named = model.outputs(x, valid, start)
        encoded = model.encoder(x)
        first = model.layers()[0](encoded.transpose(0, 1), valid, None)
        plain = trace(model, x, valid, None)
    for name, value in named.items():
        assert torch.equal(values[ModelValue("named", name=name)], value)
    assert torch.equal(plain[ModelValue("encoded")], encoded)
    assert torch.equal(plain[ModelValue("outputs", 0)], first.outputs.transpose(0, 1))
    both = [plain[ModelValue("output", 0, number)] for number in range(len(model.layers()[0].cells))]
    assert torch.equal(torch.cat(both, 2), first.outputs.transpose(0, 1))
    for place in model.state_places():
        by_step = values[ModelValue("state", place.layer, place.direction, place.index)]
        backward = direction == "reverse" or place.direction == 1
        # A forward state is kept to the end of the padding, so the last one is final; a backward one ends at step 0.
        assert torch.equal(by_step[:, 0 if backward else -1], named[place.next_name])
        if backward and lengths is not None:
            assert torch.equal(by_step[1, -1], start[place.name][1])


def test_the_first_error_follows_the_rule() -> None:
    exact = np.ones((2, 4, 3))
    expected = Expected(exact, np.full(4, 1e-7), padding=np.array([[False] * 4, [False, False, True, True]]))
    actual = exact.astype(np.float32)
    assert first_error(expected, actual, by_step=True) is None
    actual[1, 2, 0] += 1e-3
    actual[0, 3, 0] += 1e-2
    error = first_error(expected, actual, by_step=True)
    assert error is not None
    assert (error.step, error.row) == (2, 1)
    assert error.error == pytest.approx(1e-3, rel=1e-3)
    assert error.budget == expected.budget[2]
    actual[0, 1, 1] = np.nan
    error = first_error(expected, actual, by_step=True)
    assert error is not None
    assert (error.step, error.row, error.error) == (1, 0, np.inf)
    assert first_error(expected, actual[:, :3], by_step=True) is None


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose only exported file is a rejected one."""
    path = build_run(tmp_path_factory.mktemp("runs"), "gru", "training.epochs=1")
    good, rejected = path / "good.onnx", path / "onnx" / "rejected" / "model.onnx"
    rejected.parent.mkdir(parents=True)
    _, _, model = Run(path).load(load_registry())
    OnnxExporter().export(model, good, {}, zoo.ExportOptions())
    file = onnx.load(good)
    Graph(file).attribute("layer_0/gru", linear_before_reset=0)
    onnx.save(file, rejected)
    OnnxExporter().annotate(rejected, {})
    return path


def test_a_run_whose_file_was_rejected(run: Path) -> None:
    outcome = run_zoo("bisect", run)
    assert outcome.exit_code == 4, outcome.stderr
    assert "first wrong node  layer_0/gru (GRU)" in outcome.stdout
    assert "attribute linear_before_reset: 0, a fresh export has 1" in outcome.stdout
    assert str(run / "onnx" / "bisect" / "minimal.onnx") in outcome.stdout
    assert outcome.stderr.count("\n") == 1
    assert {file.name for file in (run / "onnx" / "bisect").iterdir()} == {
        "report.json",
        "minimal.onnx",
        "inputs.npz",
        "expected.npz",
        "reproduce.py",
    }


def test_a_named_file_and_json(run: Path) -> None:
    outcome = run_zoo("bisect", run / "onnx" / "rejected" / "model.onnx", "--json")
    assert outcome.exit_code == 4
    report = json.loads(outcome.stdout)
    assert (report["node"], report["scan"], report["verdict"]) == ("layer_0/gru", None, "failed")
    assert report["folder"] == str(run / "onnx" / "bisect")


def test_a_file_that_passes(run: Path) -> None:
    good = run / "onnx" / "model.onnx"
    shutil.copy(run / "good.onnx", good)
    try:
        outcome = run_zoo("bisect", good)
    finally:
        good.unlink()
    assert outcome.exit_code == 0
    assert "there is nothing to find" in outcome.stdout


def test_the_most_suspicious_file_of_a_run(run: Path, tmp_path: Path) -> None:
    """A failed file before others, then a rejected one before one in place, then float32 before the others."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    onnx_folder, registry = copy / "onnx", load_registry()
    shutil.rmtree(onnx_folder)

    def put(name: str, verdict: str | None, folder: str = ".") -> Path:
        path = onnx_folder / folder / f"model{name}.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        report = path.with_name(f"parity{name}.json")
        if verdict is not None:
            report.write_text(json.dumps({"verdict": verdict}))
        return path

    expected = put("", "passed")
    assert suspect(copy, registry)[2] == expected
    put(".fp16", "passed")
    assert suspect(copy, registry)[2] == expected
    expected = put(".bf16", "ill-conditioned", "rejected")
    assert suspect(copy, registry)[2] == expected
    expected = put(".int8", "failed")
    assert suspect(copy, registry)[2] == expected
    for name, verdict in ((".int8", "failed"), (".fp16", None), (".stream", "failed"), ("", "failed")):
        expected = put(name, verdict, "rejected")
        run_, exporter, path = suspect(copy, registry)
        assert (run_.path, exporter.name, path) == (copy, "onnx", expected)


def test_a_rejected_file_of_lower_precision(run: Path, tmp_path: Path) -> None:
    """The command finds it when only the run is named."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    rejected = copy / "onnx" / "rejected" / "model.bf16.onnx"
    (copy / "onnx" / "rejected" / "model.onnx").unlink()
    _, _, model = Run(copy).load(load_registry())
    OnnxExporter().export(model, rejected, {"precision": "bfloat16"}, zoo.ExportOptions(precision="bfloat16"))
    file = onnx.load(rejected)
    graph = Graph(file)
    weight = graph.weight("head/weight")
    graph.set("head/weight", (weight.astype(np.float32) * 2).astype(weight.dtype))
    onnx.save(file, rejected)
    OnnxExporter().annotate(rejected, {})
    outcome = run_zoo("bisect", copy)
    assert outcome.exit_code == 4
    assert f"bisect of {rejected}: failed" in outcome.stdout
    assert "first wrong node  head" in outcome.stdout


def test_what_cannot_be_bisected_is_an_error_of_one_line(run: Path, tmp_path: Path) -> None:
    good = run / "good.onnx"
    outside = tmp_path / "model.onnx"
    shutil.copy(good, outside)
    broken, renamed = (run / "onnx" / f"{name}.onnx" for name in ("broken", "renamed"))
    broken.write_bytes(b"no graph")
    file = onnx.load(good)
    softmax = next(node for node in file.graph.node if node.op_type == "Softmax")
    softmax.input[0] = file.graph.output[0].name = "scores"
    next(node for node in file.graph.node if "logits" in node.output).output[0] = "scores"
    onnx.save(file, renamed)
    messages = {
        outside: "is not in a run's folder",
        tmp_path / "none.onnx": "is not a run, nor an exported file of one",
        broken: "broken.onnx: ",
        renamed: "its outputs are scores, probabilities, the model's are logits, probabilities",
    }
    for path, message in messages.items():
        outcome = run_zoo("bisect", path)
        assert outcome.exit_code in (1, 4)
        assert message in outcome.stderr
        assert outcome.stderr.count("\n") == 1
