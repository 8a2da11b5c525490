"""`zoo check` compares a file with a fresh export of its run; --foreign judges any file by numbers alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import zoo
from tests.support.command import Outcome, assert_one_line, contents, run_zoo
from tests.support.runs import build_exported_run
from zoo.exporting.dissection import Difference
from zoo.jobs import structure as structure_module
from zoo.versions import versions
from zoo_onnx import OnnxExporter

NOT_COVERED = "shapes between those tried are not covered"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = build_exported_run(tmp_path_factory.mktemp("runs"), "lstm", "training.epochs=1", lowering="scan")
    for options in (("--streaming", "--states"), ("--precision", "fp16", "--lowering", "scan")):
        outcome = run_zoo("export", run, "--onnx", "--provider", "cpu", *options)
        assert outcome.exit_code == 0, outcome.stderr
    return run


@pytest.fixture
def run(exported: Path, tmp_path: Path) -> Path:
    """A copy of an exported run: a file with states, one for chunks, one in float16."""
    return Path(shutil.copytree(exported, tmp_path / "lstm"))


def check(*arguments: object) -> Outcome:
    return run_zoo("check", *arguments, "--provider", "cpu")


def report_of(run: Path, name: str = "parity.json") -> dict[str, Any]:
    report: dict[str, Any] = json.loads((run / "onnx" / name).read_text())
    return report


def alter(path: Path, change: Callable[[onnx.ModelProto], object], *, seal: bool = True) -> None:
    """Change a file and seal it anew."""
    model = onnx.load(path)
    change(model)
    kept = [entry for entry in model.metadata_props if entry.key != "sha256"]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    content: bytes = model.SerializeToString()
    path.write_bytes(zoo.seal_onnx(content, {}) if seal else content)


def smallest_change(model: onnx.ModelProto) -> None:
    """Move one weight by one unit in the last place, which no number can show."""
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == "head/weight"]
    array = numpy_helper.to_array(tensor).copy()
    array[0, 0] = np.nextafter(array[0, 0], np.float32(9))
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def test_every_kind_of_file_equals_a_fresh_export(run: Path) -> None:
    outcome = check(run)
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.stdout.count("\nstructure: equal to a fresh export of the run\n") == 3
    for name, states, precision in (
        ("parity.json", True, "float32"),
        ("parity.stream.json", True, "float32"),
        ("parity.fp16.json", False, "float16"),
    ):
        report = report_of(run, name)
        assert report["structure"] == {"compared": True, "differences": [], "notes": []}
        options = report["export"]["options"]
        assert (options["states"], options["precision"], options["opset"]) == (states, precision, 20)
        assert options["streaming"] == (name == "parity.stream.json")


def test_the_record_stays(run: Path) -> None:
    before = report_of(run)["export"]
    assert before["versions"] == versions()
    assert before["parity"]["verdict"] == "passed"
    assert check(run / "onnx" / "model.onnx").exit_code == 0
    assert report_of(run)["export"] == before


def test_a_difference_fails_whatever_the_numbers_are(run: Path) -> None:
    path = run / "onnx" / "model.onnx"
    before = report_of(run)["export"]
    alter(path, smallest_change)
    outcome = check(path)
    assert_one_line(
        outcome,
        4,
        f"{path}: failed: {path}: its bytes are not those that were exported: their SHA-256 is ",
        "; head/weight: differs in 1 of 120 numbers, the most by ",
    )
    assert "zoo bisect" not in outcome.stderr  # the numbers pass, so that it would find nothing
    assert "structure: differs in 1 place from a fresh export" in outcome.stdout
    report = report_of(run)
    assert (report["verdict"], [result["status"] for result in report["providers"]]) == ("failed", ["passed"])
    (difference,) = report["structure"]["differences"]
    assert (difference["node"], difference["traced"]) == ("head/weight", False)
    assert report["export"] == before


def test_a_file_whose_hash_was_recorded_anew_fails_as_well(run: Path) -> None:
    """The record is a file beside the other, so a comparison with the run's weights does not rest on its hash."""
    path = run / "onnx" / "model.onnx"
    alter(path, lambda model: model.graph.node.append(helper.make_node("Identity", ["x"], ["unread"], "unread")))
    report = report_of(run)
    report["export"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (run / "onnx" / "parity.json").write_text(json.dumps(report))
    assert_one_line(check(path), 4, f"{path}: failed: unread: is not in a fresh export")


def test_a_rejected_file(run: Path) -> None:
    """A file in rejected/ has a record of its own."""
    folder = run / "onnx" / "rejected"
    folder.mkdir()
    for name in ("model.onnx", "parity.json"):
        shutil.copy(run / "onnx" / name, folder)
    assert check(folder / "model.onnx").exit_code == 0
    alter(folder / "model.onnx", smallest_change)
    assert_one_line(check(folder / "model.onnx"), 4, "its bytes are not those that were exported", "; head/weight: ")


@pytest.mark.parametrize("record", ["no report", "no entry", "no options", "unknown option"])
def test_a_file_without_a_record(run: Path, record: str) -> None:
    path, report = run / "onnx" / "model.onnx", report_of(run)
    if record == "no entry":
        del report["export"]
    if record == "no options":
        del report["export"]["options"]
    if record == "unknown option":
        report["export"]["options"]["lenience"] = 3
    (run / "onnx" / "parity.json").write_text(json.dumps(report))
    if record == "no report":
        (run / "onnx" / "parity.json").unlink()
    before = contents(run)
    line = (
        f"{path}: parity.json beside it has no record of its export; export it again, or judge it by numbers alone "
        f"with 'zoo check {run} --foreign {path}'"
    )
    assert_one_line(check(path), 1, line)
    assert contents(run) == before


def test_the_record_of_another_kind_of_file(run: Path) -> None:
    """A file cannot get the budgets of another precision from a copied report."""
    shutil.copy(run / "onnx" / "parity.fp16.json", run / "onnx" / "parity.json")
    assert_one_line(
        check(run / "onnx" / "model.onnx"), 1, "parity.json beside it records the export of a float16 file;"
    )
    shutil.copy(run / "onnx" / "parity.stream.json", run / "onnx" / "parity.json")
    assert_one_line(
        check(run / "onnx" / "model.onnx"), 1, "parity.json beside it records the export of a file for chunks;"
    )


def test_other_versions(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced steps that another version wrote pass by numbers at more shapes, and the report states why."""
    path = run / "onnx" / "model.onnx"
    step = Difference("layer_0/x/step/tanh", "Tanh", "is not in a fresh export", "layer_0/x", traced=True)
    monkeypatch.setattr(structure_module, "versions", lambda: {**versions(), "onnx-ir": "0.1"})
    monkeypatch.setattr(OnnxExporter, "differences", lambda *_: [step])
    outcome = check(path)
    assert outcome.exit_code == 0, outcome.stderr
    assert "here is 0.1; numbers at more shapes decide\n" in outcome.stdout
    report = report_of(run)
    assert (report["verdict"], report["thorough"], report["reasons"]) == ("passed", True, [])
    assert len(report["structure"]["differences"]) == 1


def test_an_exporter_that_cannot_compare(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnnxExporter, "differences", zoo.Exporter.differences)
    outcome = check(run / "onnx" / "model.onnx")
    assert outcome.exit_code == 0, outcome.stderr
    note = "the exporter 'onnx' cannot compare the structure of a file with that of a fresh export; judged by numbers"
    assert f"structure: {note} alone: {NOT_COVERED}\n" in outcome.stdout
    assert not report_of(run)["structure"]["compared"]


# --- foreign files --------------------------------------------------------------------------------------------------


def test_a_foreign_file(run: Path, tmp_path: Path) -> None:
    """It needs no seal, no metadata and no name of the run's nodes."""
    foreign = tmp_path / "other.onnx"
    shutil.copy(run / "onnx" / "model.onnx", foreign)

    def change(model: onnx.ModelProto) -> None:
        states = [entry for entry in model.metadata_props if entry.key == "states"]
        del model.metadata_props[:]
        model.metadata_props.extend(states)
        for node in model.graph.node:
            node.name = ""

    alter(foreign, change, seal=False)
    before = contents(run)
    outcome = check(run, "--foreign", foreign)
    assert outcome.exit_code == 0, outcome.stderr
    assert f"structure: judged by numbers alone: {NOT_COVERED}\n" in outcome.stdout
    shown = json.loads(check(run, "--foreign", foreign, "--json").stdout)
    notes = [f"judged by numbers alone: {NOT_COVERED}"]
    assert (shown["verdict"], shown["structure"]) == (
        "passed",
        {"compared": False, "differences": [], "notes": notes},
    )
    assert contents(run) == before


def test_a_foreign_file_has_the_budget_of_float32(run: Path, tmp_path: Path) -> None:
    """Whatever its metadata claim: a float16 file fails."""
    foreign = tmp_path / "other.onnx"
    shutil.copy(run / "onnx" / "model.fp16.onnx", foreign)
    outcome = check(run, "--foreign", foreign)
    assert_one_line(outcome, 4, f"{foreign}: failed: cpu: logits: error ", " times its budget")


def test_a_foreign_file_must_stand_alone(run: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "other.onnx"
    shutil.copy(run / "onnx" / "model.onnx", foreign)

    def refer(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="elsewhere")

    alter(foreign, refer)
    assert_one_line(check(run, "--foreign", foreign), 4, f"{foreign}: failed: {foreign}: ")
    assert_one_line(check(run, "--foreign", tmp_path / "none.onnx"), 1, "does not exist")


def test_foreign_and_matrix(run: Path) -> None:
    outcome = run_zoo("check", run, "--matrix", "--foreign", "x.onnx")
    assert_one_line(outcome, 2, "--foreign: judges a file, and the matrix makes its own; leave one of them out")


def test_other_files_are_pointed_to_foreign(run: Path, tmp_path: Path) -> None:
    copy, alone = run / "onnx" / "copy.onnx", tmp_path / "alone.onnx"
    for path in (copy, alone):
        shutil.copy(run / "onnx" / "model.onnx", path)
    assert_one_line(check(copy), 1, f"numbers alone with 'zoo check {run} --foreign {copy}'")
    assert_one_line(check(alone), 1, f"judge the file with 'zoo check RUN --foreign {alone}'")
