"""Comparison of a run's file with a fresh export: metadata, versions, and what is a fault or a note."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import zoo
from tests.support.runs import build_exported_run
from zoo.exporting.dissection import Difference
from zoo.jobs import structure as structure_module
from zoo.jobs.exported import ExportedFile
from zoo.jobs.file_metadata import completed, metadata_differences
from zoo.jobs.precision import Trained
from zoo.jobs.structure import LINES, Structure, compare_structure
from zoo.plugins.registry import load_registry
from zoo.run.candidate import Candidate
from zoo.run.run import Run
from zoo.runtime.onnx_metadata import metadata_entries
from zoo.versions import versions
from zoo_onnx import OnnxExporter


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> ExportedFile:
    run = build_exported_run(tmp_path_factory.mktemp("runs"), "lstm", "training.epochs=1")
    return ExportedFile(Run(run), OnnxExporter())


@pytest.fixture(scope="module")
def trained(file: ExportedFile) -> Trained:
    return Trained(file.run, *file.run.load(load_registry()))


@pytest.fixture
def compare(file: ExportedFile, trained: Trained, tmp_path: Path) -> Callable[[onnx.ModelProto], Structure]:
    """Compare a model, saved and sealed, with a fresh export of the run."""

    def compare(model: onnx.ModelProto) -> Structure:
        path = tmp_path / "model.onnx"
        kept = [entry for entry in model.metadata_props if entry.key != "sha256"]
        del model.metadata_props[:]
        model.metadata_props.extend(kept)
        path.write_bytes(zoo.seal_onnx(model.SerializeToString(), {}))
        sample = file.run.sample()
        return compare_structure(Candidate(path), file.exporter, trained, sample, file.record(), lambda *_: None)

    return compare


def entry(model: onnx.ModelProto, key: str) -> Any:
    return next(each for each in model.metadata_props if each.key == key)


def replace_in(key: str, old: str, new: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        each = entry(model, key)
        assert old in each.value
        each.value = each.value.replace(old, new, 1)

    return change


def add(key: str, value: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        model.metadata_props.add(key=key, value=value)

    return change


def remove(key: str) -> Callable[[onnx.ModelProto], None]:
    return lambda model: model.metadata_props.remove(entry(model, key))


def array_of(text: str) -> Any:
    return np.load(io.BytesIO(base64.b64decode(text)))


def change_array(key: str, how: Callable[[Any], Any]) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        buffer = io.BytesIO()
        np.save(buffer, how(array_of(entry(model, key).value)))
        entry(model, key).value = base64.b64encode(buffer.getvalue()).decode()

    return change


METADATA: dict[str, tuple[Callable[[onnx.ModelProto], None], str, str]] = {
    "label": (replace_in("signature", '"3"', '"8"'), "signature", 'labels[3] is "8", the run\'s export has "3"'),
    "number of labels": (replace_in("signature", '"3", ', ""), "signature", "labels is "),
    "spec": (
        replace_in("spec", '"epochs": 1', '"epochs": 900'),
        "spec",
        "training.epochs is 900, the run's export has 1",
    ),
    "name": (replace_in("name", "lstm", "gru"), "name", 'is "gru", the run\'s export has "lstm"'),
    "verdict": (
        replace_in("parity", "passed", "failed"),
        "parity",
        'verdict is "failed", the run\'s export has "passed"',
    ),
    "no verdict": (remove("parity"), "parity", "is missing, the run's export has it"),
    "versions": (replace_in("versions", '"torch": "2', '"torch": "9'), "versions", 'torch is "9'),
    "lowering": (replace_in("lowering", "auto", "scan"), "lowering", 'is "scan", the run\'s export has "auto"'),
    "opset": (replace_in("opset", "20", "21"), "opset", "is 21, the run's export has 20"),
    "precision": (add("precision", "bfloat16"), "precision", 'is "bfloat16", the run\'s export has no such entry'),
    "steps": (add("steps", "8"), "steps", 'is "8", the run\'s export has no such entry'),
    "takes": (add("takes", "chunks"), "takes", 'is "chunks", the run\'s export has no such entry'),
    "golden input": (change_array("golden_input", lambda x: x + 1), "golden_input", "[0, 0, 0] is "),
    "no golden input": (remove("golden_input"), "golden_input", "is missing, the run's export has it"),
    "golden output": (change_array("golden_logits", lambda x: x + 0.01), "golden_logits", "[0, 0] is "),
    "void golden input": (change_array("golden_input", lambda x: x[:0]), "golden_input", "is float32 (0, 8, 8)"),
    "void golden output": (change_array("golden_logits", lambda x: x[:0]), "golden_logits", "has the shape (0, 10)"),
    "lenient golden output": (
        change_array("golden_logits_sensitivity", lambda x: x * 3),
        "golden_logits_sensitivity",
        "[0] is ",
    ),
    "golden output of infinite sensitivity": (
        change_array("golden_logits_sensitivity", lambda x: x * np.inf),
        "golden_logits_sensitivity",
        "[0] is inf",
    ),
    "golden output as text": (replace_in("golden_logits", "k", "#"), "golden_*", "cannot be read: "),
}


@pytest.mark.parametrize("name", METADATA)
def test_metadata(name: str, file: ExportedFile, compare: Callable[[onnx.ModelProto], Structure]) -> None:
    change, key, what = METADATA[name]
    model = onnx.load(file.path)
    change(model)
    result = compare(model)
    (difference,) = result.differences
    assert difference.node == f"metadata {key}"
    assert difference.what.startswith(what)
    assert not difference.traced
    first, second = result.faults(file.path, [])
    assert first.startswith(f"{file.path}: its bytes are not those that were exported: their SHA-256 is ")
    assert second == f"metadata {key}: {difference.what}"


def test_an_unaltered_file(file: ExportedFile, trained: Trained) -> None:
    candidate, record = Candidate(file.path), file.record()
    result = compare_structure(candidate, file.exporter, trained, file.run.sample(), record, lambda *_: None)
    assert result == Structure(compared=True, differences=[])
    assert result.faults(file.path, []) == []


@pytest.mark.parametrize("factor", [0.55, 1.9])
def test_another_machine_may_compute_other_last_bits_of_golden_outputs(
    file: ExportedFile, compare: Callable[[onnx.ModelProto], Structure], factor: float
) -> None:
    model = onnx.load(file.path)
    sensitivity = float(array_of(entry(model, "golden_logits_sensitivity").value).max())
    change_array("golden_logits", lambda x: x + factor * sensitivity)(model)
    change_array("golden_logits_sensitivity", lambda x: x * factor)(model)
    assert compare(model).differences == []


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("vocabulary", ["a", "c", "b"], 'vocabulary[1] is "c", the run\'s export has "b"'),
        ("vocabulary", ["a", "b"], "vocabulary is "),
        ("columns", {"x": 2}, "columns.x is 2, the run's export has 1"),
        ("columns", {}, "columns.x is null, the run's export has 1"),
        ("window", 8.0, "window is 8.0, the run's export has 8"),
        ("tokenizer", "words", 'tokenizer is "words", the run\'s export has "characters"'),
    ],
)
def test_parts_of_an_entry(key: str, value: Any, what: str) -> None:
    signature = {"vocabulary": ["a", "b", "c"], "columns": {"x": 1}, "window": 8, "tokenizer": "characters"}
    altered = json.dumps({**signature, key: value})
    (difference,) = metadata_differences([("signature", altered)], {"signature": json.dumps(signature)})
    assert difference.what.startswith(what)


def test_fields_that_a_version_did_not_have_are_no_difference(file: ExportedFile, trained: Trained) -> None:
    entries = dict(metadata_entries(file.path.read_bytes()))
    spec, signature = json.loads(entries["spec"]), json.loads(entries["signature"])
    del spec["training"]["freeze"], signature["form"], signature["ordered"]
    before = [("spec", json.dumps(spec)), ("signature", json.dumps(signature))]
    expected = {name: entries[name] for name in ("spec", "signature")}
    assert len(list(metadata_differences(before, expected))) == 2
    assert list(metadata_differences(completed(before, trained.spec), expected)) == []
    del spec["training"]["epochs"]  # whose default is not the run's
    altered = completed([("spec", json.dumps(spec)), before[1]], trained.spec)
    (difference,) = metadata_differences(altered, expected)
    assert difference.what.startswith("training.epochs is 20, ")
    for text in ("{", "[]", json.dumps({**signature, "x": 1})):
        assert completed([("signature", text)], trained.spec) == [("signature", text)]


def test_an_entry_twice() -> None:
    (difference,) = metadata_differences([("name", "lstm"), ("name", "lstm")], {"name": "lstm"})
    assert (difference.node, difference.what) == ("metadata name", "occurs 2 times, the run's export has it once")


def test_an_entry_that_is_written_in_another_way() -> None:
    (difference,) = metadata_differences([("spec", '{"a":1}')], {"spec": '{"a": 1}'})
    assert difference.what == "is written in another way"


def test_entries_of_a_file(file: ExportedFile) -> None:
    entries = metadata_entries(file.path.read_bytes())
    assert entries == [(each.key, each.value) for each in onnx.load(file.path).metadata_props]


# --- other versions -------------------------------------------------------------------------------------------------


STEP = Difference("layer_0/mgu/step/tanh", "Tanh", "is not in a fresh export", "layer_0/mgu", traced=True)
WEIGHT = Difference("head/weight", "", "differs in 1 of 50 numbers")


def other_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure_module, "versions", lambda: {**versions(), "torch": "9.9"})


def with_differences(
    monkeypatch: pytest.MonkeyPatch, file: ExportedFile, trained: Trained, differences: list[Difference] | None
) -> Structure:
    monkeypatch.setattr(OnnxExporter, "differences", lambda *_: differences)
    candidate, record = Candidate(file.path), file.record()
    return compare_structure(candidate, file.exporter, trained, file.run.sample(), record, lambda *_: None)


def test_other_versions_do_not_matter_where_nothing_differs(
    file: ExportedFile, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_torch(monkeypatch)
    assert with_differences(monkeypatch, file, trained, []) == Structure(compared=True, differences=[])


def test_other_versions_leave_traced_steps_to_the_numbers(
    file: ExportedFile, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_torch(monkeypatch)
    result = with_differences(monkeypatch, file, trained, [STEP])
    assert (result.compared, result.undecided, result.faults(file.path, [])) == (True, True, [])
    (note,) = result.notes
    assert note.startswith("1 difference in traced steps, such as layer_0/mgu/step/tanh inside layer_0/mgu: is not in ")
    assert f"the file was written with torch {versions()['torch']}, here is 9.9; numbers at more shapes decide" in note


def test_other_versions_excuse_nothing_else(
    file: ExportedFile, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_torch(monkeypatch)
    result = with_differences(monkeypatch, file, trained, [STEP, WEIGHT])
    assert not result.undecided
    assert result.faults(file.path, []) == [
        "layer_0/mgu/step/tanh inside layer_0/mgu: is not in a fresh export",
        "head/weight: differs in 1 of 50 numbers",
    ]
    (note,) = result.notes
    assert note.endswith("here is 9.9; unless it was altered, export it again")


def test_equal_versions_excuse_no_traced_step(
    file: ExportedFile, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = with_differences(monkeypatch, file, trained, [STEP])
    assert (result.undecided, result.notes, len(result.faults(file.path, []))) == (False, (), 1)


def test_an_exporter_that_cannot_compare(file: ExportedFile, trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    result = with_differences(monkeypatch, file, trained, None)
    assert (result.compared, result.faults(file.path, [])) == (False, [])
    assert result.notes == [
        "the exporter 'onnx' cannot compare the structure of a file with that of a fresh export; judged by numbers "
        "alone: shapes between those tried are not covered"
    ]


def test_reasons_are_limited() -> None:
    result = Structure(compared=True, differences=[WEIGHT] * 25)
    lines = result.faults(Path("model.onnx"), [])
    assert lines[LINES:] == ["and 15 more differences"]
    assert len(result.to_dict()["differences"]) == 25


def test_a_file_that_cannot_be_compared_fails() -> None:
    result = Structure(compared=False, obstacle="not compared with a fresh export: it is strange")
    assert result.faults(Path("model.onnx"), []) == ["not compared with a fresh export: it is strange"]
    assert result.faults(Path("model.onnx"), ["model.onnx: is strange"]) == []
