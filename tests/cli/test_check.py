"""`zoo export` and `zoo check` from the command line: exit codes, reports, and files."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import onnx
import pytest

import zoo
from tests.support.command import assert_one_line, contents, run_zoo
from tests.support.runs import build_exported_run, build_run
from zoo.proof.cases import SHAPES
from zoo.runtime.providers import unavailable
from zoo_onnx.operators import GATES

without_cuda = pytest.mark.skipif(unavailable("cuda") is None, reason="CUDA can run here")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_exported_run(tmp_path_factory.mktemp("runs"), "lstm")


@pytest.fixture
def run(exported: Path, tmp_path: Path) -> Path:
    """A copy of an exported run, free to be changed."""
    return Path(shutil.copytree(exported, tmp_path / "lstm"))


# --- an absent provider ---------------------------------------------------------------------------------------------


@without_cuda
@pytest.mark.parametrize("command", ["export", "check"])
@pytest.mark.parametrize("options", [("--require", "cuda"), ("--provider", "cuda")])
def test_cuda_required_and_absent(command: str, options: tuple[str, ...], run: Path) -> None:
    """Exit code 5, the name of the missing library, and no file changed."""
    before = contents(run)
    outcome = run_zoo(command, run, *options)
    assert_one_line(outcome, 5, f"cuda strict: unavailable: {unavailable('cuda')}")
    assert contents(run) == before


@without_cuda
def test_missing_library_is_named() -> None:
    """An ONNX Runtime compiled with CUDA lacks a library, one compiled without it a package."""
    reason = unavailable("cuda")
    assert reason is not None
    assert re.search(r"^lib\S+ not found(, and \d+ more)?$", reason) or "install onnxruntime-gpu" in reason


@without_cuda
def test_absent_cuda_is_unavailable_and_not_passed(run: Path) -> None:
    outcome = run_zoo("check", run)
    assert outcome.exit_code == 0
    for mode in ("cuda strict", "cuda deployed"):
        assert f"{mode:<15}unavailable  {unavailable('cuda')}\n" in outcome.stdout
    report = json.loads((run / "onnx" / "parity.json").read_text())
    statuses = {result["name"]: result["status"] for result in report["providers"]}
    assert statuses == {"cpu": "passed", "cuda strict": "unavailable", "cuda deployed": "unavailable"}


def test_unknown_provider(run: Path) -> None:
    assert run_zoo("check", run, "--provider", "tpu").exit_code == 2


# --- a failure ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_json", [False, True])
def test_a_failing_export_leaves_the_old_file(run: Path, as_json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """File, report and model card stay unchanged; the new file and its report are kept in rejected/."""
    before = contents(run)
    with monkeypatch.context() as patch:
        patch.setitem(GATES, "LSTM", "ifoc")
        outcome = run_zoo("export", run, "--onnx", "--provider", "cpu", *(["--json"] if as_json else []))
    rejected = run / "onnx" / "rejected"
    assert_one_line(outcome, 4, str(rejected / "model.onnx"), "failed: cpu: logits: error ", " times its budget")
    after = contents(run)
    assert after.keys() - before.keys() == {"onnx/rejected/model.onnx", "onnx/rejected/parity.json"}
    assert {name: after[name] for name in before} == before
    report = json.loads((rejected / "parity.json").read_text())
    assert report["verdict"] == "failed"
    if as_json:
        shown = json.loads(outcome.stdout)
        assert shown.pop("path") == str(rejected / "model.onnx")
        assert shown == report
    else:
        assert "failed" in outcome.stdout

    assert run_zoo("export", run, "--onnx", "--provider", "cpu").exit_code == 0
    assert not rejected.exists()


def test_a_first_failing_export_leaves_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = build_run(tmp_path, "lstm", "training.epochs=1")
    monkeypatch.setitem(GATES, "LSTM", "ifoc")
    assert run_zoo("export", run, "--onnx", "--provider", "cpu").exit_code == 4
    assert [file.name for file in (run / "onnx").iterdir()] == ["rejected"]
    assert_one_line(run_zoo("check", run), 1, "has not been exported yet; do it with 'zoo export --onnx")


@pytest.mark.parametrize("command", ["export", "check"])
def test_ill_conditioned_is_not_passed(command: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model without a possible verdict gives exit code 4, as a failure does, and the exported file stays."""
    before = (run / "onnx" / "model.onnx").read_bytes()
    monkeypatch.setattr("zoo.parity.AMPLIFICATION_LIMIT", 0.01)
    outcome = run_zoo(command, run, "--provider", "cpu")
    assert_one_line(outcome, 4, ": ill-conditioned: cpu: logits: the model amplifies rounding ")
    assert (run / "onnx" / "model.onnx").read_bytes() == before


def damaged(content: bytes, how: str) -> bytes:
    model = onnx.load_from_string(content)
    if how == "unsealed":
        model.metadata_props.pop()
    if how == "weight":
        # Flip one bit of the first number of the tensor.
        raw = bytearray(model.graph.initializer[0].raw_data)
        raw[0] ^= 1
        model.graph.initializer[0].raw_data = bytes(raw)
    if how == "label":
        (signature,) = [entry for entry in model.metadata_props if entry.key == "signature"]
        signature.value = signature.value.replace('"3"', '"8"', 1)
    if how == "invalid":
        model.graph.node[0].op_type = "Strange"
    whole: bytes = model.SerializeToString()
    if how == "invalid":
        whole = zoo.seal_onnx(whole, {})
    return {"empty": b"", "text": b"hello\n", "truncated": content[:-100]}.get(how, whole)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("weight", "was altered since it was exported: its hash does not match; take the original file, or export"),
        ("label", "was altered since it was exported: its hash does not match; take the original file, or export"),
        (
            "unsealed",
            "carries no seal, so Recurrent Zoo did not write it, or an older version did; export the run again",
        ),
        ("empty", "is not an ONNX file, or only a part of one (it contains no graph); export the run again"),
        (
            "text",
            "is not an ONNX file, or only a part of one (field 13 has an unknown wire type); export the run again",
        ),
        (
            "truncated",
            "is not an ONNX file, or only a part of one (field 14 extends past the end); export the run",
        ),
        ("invalid", "is not a valid ONNX file: "),
    ],
)
def test_an_altered_file_fails(run: Path, how: str, reason: str) -> None:
    path = run / "onnx" / "model.onnx"
    path.write_bytes(damaged(path.read_bytes(), how))
    outcome = run_zoo("check", run, "--provider", "cpu")
    assert_one_line(outcome, 4, f"{path}: failed: {path}: {reason}")
    assert json.loads((run / "onnx" / "parity.json").read_text())["verdict"] == "failed"
    assert "**failed**" in (run / "README.md").read_text()


# --- which file -----------------------------------------------------------------------------------------------------


def test_targets(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run, its file, or by default the latest run."""
    monkeypatch.chdir(run.parent)
    (run.parent / "runs").symlink_to(run.parent)
    for target in ([str(run)], [str(run / "onnx" / "model.onnx")], ["lstm/onnx/model.onnx"], []):
        assert run_zoo("check", *target, "--provider", "cpu").exit_code == 0, target


def test_a_file_outside_a_run(run: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.onnx"
    shutil.copy(run / "onnx" / "model.onnx", alone)
    assert_one_line(run_zoo("check", alone), 1, f"{alone}: is not in a run's folder")


def test_another_file_of_the_run(run: Path) -> None:
    copy = run / "onnx" / "copy.onnx"
    shutil.copy(run / "onnx" / "model.onnx", copy)
    assert_one_line(run_zoo("check", copy), 1, f"{copy}: is not an exported file of the run {run}")


@pytest.mark.parametrize("command", ["export", "check"])
def test_no_run(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert_one_line(run_zoo(command), 1, "there is no run in runs/; 'zoo build SPEC' makes one")
    assert_one_line(run_zoo(command, "nowhere"), 1, "nowhere: is not a run")


def test_altered_weights_of_the_run(run: Path) -> None:
    path = run / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for command in ("export", "check"):
        assert_one_line(run_zoo(command, run), 1, str(path), "altered")


# --- the report -----------------------------------------------------------------------------------------------------


def test_report(run: Path) -> None:
    outcome = run_zoo("check", run, "--provider", "cpu", "--json")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    report = json.loads((run / "onnx" / "parity.json").read_text())
    shown = json.loads(outcome.stdout)
    assert shown.pop("path") == str(run / "onnx" / "model.onnx")
    assert shown == report
    assert report["schema_version"] == 1
    assert (report["file"], report["verdict"], report["reasons"]) == ("model.onnx", "passed", [])
    listed = [case for case in report["cases"] if not case.get("drawn")]
    assert {(case["batch"], case["time"]) for case in listed} == {*SHAPES, (3, 8)}
    assert {case["inputs"] for case in listed} == {"data", "wide"}
    assert len(report["cases"]) >= len(listed) + 8
    assert {case["inputs"] for case in report["cases"]} == {"data", "wide", "extreme"}
    assert {"python", "torch", "onnx", "numpy", "recurrent-zoo"} <= report["versions"].keys()
    (result,) = report["providers"]
    assert (result["name"], result["status"], result["precision"]) == ("cpu", "passed", "float32")
    assert result["nodes"] == {"CPUExecutionProvider": len(result["placement"])}
    assert {"name": "layer_0/lstm", "operator": "LSTM", "provider": "CPUExecutionProvider"} in result["placement"]
    assert [output["name"] for output in result["outputs"]] == ["logits", "probabilities"]
    for output in result["outputs"]:
        assert output["status"] == "passed"
        assert 0 < output["max_error"] < 1e-3
        assert 0 < output["over_budget"] <= 1
        assert 0 < output["torch_max_error"] < 1e-3
        assert 0 < output["torch_over_budget"] <= 1
        assert 0 < output["amplification"] < 1e4
        assert output["ill_conditioned_cases"] == 0
        assert 0.9 <= output["agreement"] <= 1
        assert {"batch", "time", "inputs"} == output["worst_case"].keys() - {"drawn"}


def test_table(run: Path) -> None:
    outcome = run_zoo("check", run, "--provider", "cpu")
    path = run / "onnx" / "model.onnx"
    assert outcome.stdout.startswith(f"parity of {path}: passed")
    for heading in ("largest  error /  torch /   rounding   equal\n", "error   budget   budget  amplified  labels\n"):
        assert heading in outcome.stdout
    assert "nodes: 7 on CPU" in outcome.stdout
    assert max(map(len, outcome.stdout.splitlines()[1:])) <= 80


def test_verdict_is_in_the_model_card(run: Path) -> None:
    assert "| `model.onnx` | float32 |" in (run / "README.md").read_text()


def test_export_prints_what_check_prints(run: Path) -> None:
    exported = run_zoo("export", run, "--onnx", "--provider", "cpu", "--seed", "7", "--json")
    checked = run_zoo("check", run, "--provider", "cpu", "--seed", "7", "--json")
    first, second = json.loads(exported.stdout), json.loads(checked.stdout)
    for report in (first, second):
        assert report.pop("seconds") > 0
    assert second.pop("structure") == {"compared": True, "differences": [], "notes": []}  # of check alone
    assert first == second
