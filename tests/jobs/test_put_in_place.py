"""Export puts the proven bytes in place, keeps rejected files, and never leaves partial or older files damaged."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest

import zoo
from tests.support.command import Outcome, assert_one_line, contents, run_zoo
from tests.support.driver import command, environment
from tests.support.models import make_model, write
from tests.support.runs import build_exported_run
from zoo.jobs import exported as exported_module
from zoo.jobs.exported import ExportedFile
from zoo.jobs.put_in_place import proof_summary
from zoo.proof.prove import prove
from zoo.run.candidate import Candidate
from zoo.run.lock import LOCK, locked
from zoo_onnx.exporter import OnnxExporter
from zoo_onnx.operators import GATES

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_exported_run(tmp_path_factory.mktemp("my runs"), "lstm", "training.epochs=1")


@pytest.fixture
def run(exported: Path, tmp_path: Path) -> Path:
    """A copy of an exported run, in a folder whose name has a space."""
    return Path(shutil.copytree(exported, tmp_path / "my lstm"))


def export(run: Path, *options: object) -> Outcome:
    return run_zoo("export", run, "--onnx", "--provider", "cpu", *options)


def parity_of(path: Path) -> dict[str, Any]:
    """Return the verdict in the metadata of a file."""
    (entry,) = [entry for entry in onnx.load(path).metadata_props if entry.key == "parity"]
    values: dict[str, Any] = json.loads(entry.value)
    return values


def reject(run: Path, *options: object) -> Outcome:
    """Export with the gates in a wrong order, so that the proof fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(GATES, "LSTM", "ifoc")
        outcome = export(run, *options)
    assert outcome.exit_code == 4, outcome
    return outcome


def fail_on(patch: pytest.MonkeyPatch, owner: Any, name: str, error: BaseException, *, call: int = 1) -> None:
    """Let a function fail from the given call on, counted from 1."""
    calls, original = iter(range(1, 10**6)), getattr(owner, name)

    def failing(*arguments: Any, **options: Any) -> Any:
        if next(calls) >= call:
            raise error
        return original(*arguments, **options)

    patch.setattr(owner, name, failing)


# --- the proven bytes -----------------------------------------------------------------------------------------------


@pytest.fixture
def other(tmp_path: Path) -> bytes:
    """The bytes of a valid file of another model."""
    (tmp_path / "other").mkdir()
    return write(make_model("lstm"), tmp_path / "other").read_bytes()


def test_a_file_that_changes_during_its_proof_has_no_verdict(
    run: Path, other: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(run)

    def overwritten(model: zoo.Model, path: Path, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        report = prove(model, path, *arguments, **keywords)
        assert report["verdict"] == "passed"
        path.write_bytes(other)
        return report

    monkeypatch.setattr(exported_module, "prove", overwritten)
    assert_one_line(export(run), 1, "model.onnx: another program changed the file during its proof")
    assert contents(run) == before
    assert_one_line(run_zoo("check", run, "--provider", "cpu"), 1, "another program changed the file during its proof")
    assert contents(run) == {**before, "onnx/model.onnx": other}


@pytest.mark.parametrize("verdict", ["passed", "failed"])
def test_a_change_of_the_file_after_its_proof_has_no_effect(
    run: Path, other: bytes, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven: list[bytes] = []
    require_unchanged = Candidate.require_unchanged

    def overwriting(self: Candidate) -> None:
        require_unchanged(self)
        proven.append(self.path.read_bytes())
        self.path.write_bytes(other)

    def judged(*arguments: Any, **keywords: Any) -> dict[str, Any]:
        return {**prove(*arguments, **keywords), "verdict": verdict}

    monkeypatch.setattr(Candidate, "require_unchanged", overwriting)
    monkeypatch.setattr(exported_module, "prove", judged)
    assert export(run).exit_code == (0 if verdict == "passed" else 4)
    path = run / "onnx" / ("rejected" if verdict == "failed" else ".") / "model.onnx"
    assert path.read_bytes() == zoo.seal_onnx(proven[0], {"parity": json.dumps(parity_of(path))})
    assert parity_of(path)["verdict"] == verdict


def test_an_exporter_that_changes_more_than_metadata_is_rejected(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(run)
    annotate = OnnxExporter.annotate

    def overreaching(self: OnnxExporter, path: Path, metadata: Mapping[str, str]) -> None:
        model = onnx.load(path)
        model.graph.initializer[0].raw_data = bytes(len(model.graph.initializer[0].raw_data))
        onnx.save(model, path)
        annotate(self, path, metadata)

    monkeypatch.setattr(OnnxExporter, "annotate", overreaching)
    assert_one_line(export(run), 6, "onnx: annotate() changed more of model.onnx than its metadata")
    assert contents(run) == before


# --- rejected files -------------------------------------------------------------------------------------------------


def test_the_command_that_a_failure_recommends_works(run: Path) -> None:
    """Also after another export that is a usage error. The commands report on the rejected file."""
    outcome = reject(run)
    rejected = run / "onnx" / "rejected" / "model.onnx"
    (hint,) = re.findall(r"; '(zoo bisect .*)' names the first wrong node\n", outcome.stderr)
    assert shlex.split(hint) == ["zoo", "bisect", str(rejected)]
    assert export(run, "--opset", 3).exit_code == 2
    before = contents(run)
    assert_one_line(run_zoo(*shlex.split(hint)[1:]), 4, f"{rejected}: layer_0/lstm: ")
    checked = run_zoo("check", rejected, "--provider", "cpu")  # against a fresh export with the right gates
    assert_one_line(checked, 4, f"{rejected}: failed: layer_0/lstm/", "; cpu: logits: error ", hint)
    assert "lstm" in run_zoo("inspect", rejected).stdout
    after = contents(run)
    assert {name for name in before if after[name] != before[name]} == {"onnx/rejected/parity.json"}
    assert json.loads(after["onnx/rejected/parity.json"])["verdict"] == "failed"
    assert json.loads(after["onnx/parity.json"])["verdict"] == "passed"


def test_a_rejected_file_stays_until_its_own_kind_is_exported_with_a_verdict(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reject(run)
    rejected = {name: content for name, content in contents(run).items() if name.startswith("onnx/rejected/")}
    assert rejected.keys() == {"onnx/rejected/model.onnx", "onnx/rejected/parity.json"}

    def kept() -> bool:
        return rejected.items() <= contents(run).items()

    assert export(run, "--opset", 3).exit_code == 2
    assert kept()
    with monkeypatch.context() as patch:
        fail_on(patch, exported_module, "prove", KeyboardInterrupt())
        assert export(run).exit_code == 130
    assert kept()
    monkeypatch.setattr(ExportedFile, "beside_float32", lambda *_: {})  # this test does not compare it with float32
    fp16 = {"onnx/rejected/model.fp16.onnx", "onnx/rejected/parity.fp16.json"}
    with monkeypatch.context() as patch:  # a file of another precision fails, and later passes
        patch.setattr(
            exported_module, "prove", lambda *given, **by_name: {**prove(*given, **by_name), "verdict": "failed"}
        )
        assert export(run, "--precision", "fp16").exit_code == 4
    assert kept()
    assert fp16 <= contents(run).keys()
    with monkeypatch.context() as patch:
        patch.setattr(
            exported_module, "prove", lambda *given, **by_name: {**prove(*given, **by_name), "verdict": "passed"}
        )
        assert export(run, "--precision", "fp16").exit_code == 0
    assert kept()
    assert not fp16 & contents(run).keys()
    assert export(run).exit_code == 0
    assert not (run / "onnx" / "rejected").exists()


def test_a_rejected_file_contains_its_verdict(run: Path) -> None:
    reject(run)
    parity = parity_of(run / "onnx" / "rejected" / "model.onnx")
    assert (parity["verdict"], parity["providers"]) == ("failed", {"cpu": "failed"})
    assert parity["over_budget"] > 1


def test_a_file_without_judged_outputs_has_no_largest_error(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outputs have other names than the model's. The report contains the final path of the file."""
    assert proof_summary({"verdict": "failed", "providers": []})["over_budget"] is None

    def renamed(_: OnnxExporter, path: Path) -> list[str]:
        model = onnx.load(path)
        model.graph.output[0].name = "strange"
        path.write_bytes(zoo.seal_onnx(model.SerializeToString(), {}))
        return [f"{path}: is strange"]

    monkeypatch.setattr(OnnxExporter, "faults", renamed)
    monkeypatch.setattr("zoo.run.candidate.Candidate.require_unchanged", lambda _: None)
    rejected = run / "onnx" / "rejected" / "model.onnx"
    assert_one_line(export(run), 4, f"{rejected}: failed: {rejected}: is strange")
    assert parity_of(rejected)["over_budget"] is None
    assert ".export-" not in (rejected.parent / "parity.json").read_text()


# --- after errors ----------------------------------------------------------------------------------------------------


def half_written(patch: pytest.MonkeyPatch) -> None:
    def save(_: object, path: Path) -> None:
        path.write_bytes(b"half")
        Path("/dev/full").write_bytes(b"the other half")  # raises the system's own error for a full disk

    patch.setattr("zoo_onnx.file.ir.save", save)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("passes", [True, False], ids=["passes", "fails"])
@pytest.mark.parametrize(
    ("break_", "name"),
    [
        (lambda patch: fail_on(patch, tempfile, "mkdtemp", FULL), "onnx"),
        (half_written, "NAME"),
        (lambda patch: fail_on(patch, OnnxExporter, "annotate", FULL), "NAME"),
        (lambda patch: fail_on(patch, os, "fsync", FULL), "NAME"),
        (lambda patch: fail_on(patch, os, "fsync", FULL, call=2), "REPORT"),
    ],
    ids=["the folder", "the file", "the verdict", "the file in place", "the report"],
)
def test_a_full_disk_is_one_line(
    run: Path, break_: Callable[[pytest.MonkeyPatch], None], name: str, passes: bool
) -> None:
    before = contents(run)
    with pytest.MonkeyPatch.context() as patch:
        if not passes:
            patch.setitem(GATES, "LSTM", "ifoc")
        break_(patch)
        outcome = export(run)
    folder = "onnx" if passes or break_ is half_written else "onnx/rejected"
    path = {"NAME": f"{folder}/model.onnx", "REPORT": f"{folder}/parity.json"}.get(name, name)
    line = f"{run / path}: cannot be written: No space left on device; free some space and do it again"
    assert (outcome.exit_code, outcome.stderr) == (1, f"error: {line}\n")
    assert contents(run) == before


def test_a_full_disk_leaves_a_proven_file_with_its_report(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk becomes full when only the model card remains to be written."""
    before = contents(run)
    for name in ("onnx/model.onnx", "onnx/parity.json"):
        (run / name).write_bytes(b"older")
    fail_on(monkeypatch, os, "fsync", FULL, call=5)  # two files and their folder, once for each
    line = f"{run / 'README.md'}: cannot be written: No space left on device; free some space and do it again"
    outcome = export(run)
    assert (outcome.exit_code, outcome.stderr) == (1, f"error: {line}\n")
    after = contents(run)
    assert after.keys() == before.keys()
    assert after["onnx/model.onnx"] == before["onnx/model.onnx"]
    assert json.loads(after["onnx/parity.json"])["verdict"] == "passed"
    assert after["README.md"] == before["README.md"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(9), zoo.ExportError("no")])
def test_no_file_is_left_after_any_kind_of_error(
    run: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(run)
    folders = sorted(run.rglob("*/"))
    fail_on(monkeypatch, exported_module, "prove", error)
    assert export(run).exit_code in (130, 9, 1)
    assert contents(run) == before
    assert sorted(run.rglob("*/")) == folders


def test_a_signature_beside_the_file_stays_and_is_no_exported_file(run: Path) -> None:
    signature = run / "onnx" / "model.onnx.sig"
    signature.write_bytes(b"{}")
    for outcome in (export(run), run_zoo("check", run, "--provider", "cpu"), run_zoo("report", run)):
        assert outcome.exit_code == 0, outcome.stderr
    assert signature.read_bytes() == b"{}"
    for page in ("README.md", "report.html"):
        assert ".sig" not in (run / page).read_text()


# --- two at once ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no locks")
@pytest.mark.parametrize(
    "words",
    [
        ("export", "{run}", "--provider", "cpu"),
        ("check", "{run}", "--provider", "cpu"),
        ("check", "{run}", "--matrix", "--quick", "--provider", "cpu"),
        ("build", "{run}/spec.yaml", "--out", "{run}", "--resume", "--device", "cpu"),
        ("bisect", "{run}"),
        ("bench", "{run}", "--provider", "cpu"),
        ("report", "{run}"),
        ("gates", "{run}"),
        ("gradients", "{run}"),
    ],
    ids=lambda words: "-".join(word for word in words if word.isalpha()),
)
def test_a_locked_run_is_not_changed(run: Path, words: tuple[str, ...]) -> None:
    with locked(run, "zoo something"):
        before = contents(run)
        outcome = run_zoo(*(word.format(run=run) for word in words))
        *_, line = outcome.stderr.splitlines()
        assert outcome.exit_code == 1
        assert line.startswith(f"error: {run}: is in use by 'zoo something' (process {os.getpid()} on ")
        assert contents(run) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no locks")
def test_a_second_export_at_the_same_time_is_an_error(run: Path, tmp_path: Path) -> None:
    """The first export, in its own process, waits between writing the file and proving it, and then is killed.

    The files that it leaves behind do not affect the next export.
    """
    before = contents(run)
    arguments = command("wait", "zoo_onnx.file:write", 1, "export", run, "--onnx", "--provider", "cpu")
    process = subprocess.Popen([sys.executable, *arguments], cwd=tmp_path, env=environment("never"))
    while not (tmp_path / "waiting-0").exists():
        assert process.poll() is None
        time.sleep(0.01)
    assert_one_line(export(run), 1, f"{run}: is in use by 'zoo export' (process {process.pid} on ")
    during = contents(run)
    (private,) = [name for name in during if "/.export-" in name]
    assert {name for name in during if name != private} == {*before, LOCK}
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert export(run).exit_code == 0
    assert contents(run).keys() == before.keys()
    assert not list((run / "onnx").glob(".export-*"))
