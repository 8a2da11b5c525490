"""`zoo verify`: verification of a file on a machine without torch and onnx."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.runtime.verified import numbers
from tests.support.command import run_zoo
from tests.support.files import rewrite
from tests.support.models import draw, make_model, sequences, write
from zoo.errors import RunError, UsageError
from zoo.proof.golden_oracle import golden
from zoo.runtime import OnnxModel
from zoo.runtime.onnx_contents import onnx_fault
from zoo.runtime.onnx_seal import seal_onnx
from zoo.runtime.providers import unavailable
from zoo.runtime.verify import verify
from zoo_onnx import OnnxExporter


def make_file(folder: Path, *, streaming: bool = False, change: float = 0.0, proof: str | None = None) -> Path:
    """Write a file with golden outputs; ``change`` is added to a weight afterwards, ``proof`` is the stored verdict."""
    model = make_model("lstm", hidden_size=8, pooling=None)
    example = golden(model, sequences(draw(2, 6)))
    if change:
        next(model.head.parameters()).data[0, 0] += change
    path = write(model, folder, streaming=streaming)
    metadata = {"name": "small", "lowering": "auto", "versions": json.dumps({"torch": "1.0", "python": "3.9"})}
    verdict = {} if proof is None else {"parity": json.dumps({"verdict": proof})}
    OnnxExporter().annotate(path, {**metadata, **verdict, **example.to_metadata()})
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_file(tmp_path_factory.mktemp("verify"))


@pytest.mark.parametrize("streaming", [False, True])
def test_a_whole_file(streaming: bool, tmp_path: Path) -> None:
    report = verify(make_file(tmp_path, streaming=streaming))
    assert (report["verdict"], report["reasons"]) == ("verified", [])
    assert report["checks"] == dict.fromkeys(("stands alone", "seal", "loads", "golden output"), "ok")
    assert [(output["name"], output["status"]) for output in report["outputs"]] == [
        ("logits", "passed"),
        ("probabilities", "passed"),
    ]
    assert all(0 <= output["over_budget"] <= 1 for output in report["outputs"])
    assert (report["opset"], report["name"], report["precision"]) == ("20", "small", "float32")
    assert report.get("takes") == ("chunks" if streaming else None)
    assert report["versions"]["file"]["torch"] == "1.0"
    assert report["recurrent"] == {"CPUExecutionProvider": 1}


def test_one_flipped_bit_is_detected(file: Path) -> None:
    """At 400 positions drawn over the whole file, including both ends and the seal."""
    content = bytearray(file.read_bytes())
    generator = np.random.default_rng(0)
    ends = [*range(8), *range(len(content) - 80, len(content))]
    for position in [*ends, *generator.integers(len(content), size=400 - len(ends))]:
        bit = 1 << int(generator.integers(8))
        content[position] ^= bit
        assert onnx_fault(bytes(content)) is not None, position
        content[position] ^= bit
    assert onnx_fault(bytes(content)) is None


def test_the_command_reports_a_flipped_bit(file: Path, tmp_path: Path) -> None:
    content = bytearray(file.read_bytes())
    content[content.index(b"layer_0") + 400] ^= 1
    path = tmp_path / "flipped.onnx"
    path.write_bytes(content)
    outcome = run_zoo("verify", path)
    assert outcome.exit_code == 4
    assert outcome.stdout.startswith(f"{path}: not verified\n")
    assert "was altered since it was exported" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_a_file_with_wrong_golden_outputs(tmp_path: Path) -> None:
    """The seal is valid; only the golden outputs differ."""
    report = verify(make_file(tmp_path, change=1e-3))
    assert report["verdict"] == "not verified"
    assert report["checks"]["seal"] == "ok"
    assert report["checks"]["golden output"].startswith("logits: error ")
    assert report["outputs"][0]["over_budget"] > 1


def test_a_file_that_needs_another_file_is_not_run(file: Path, tmp_path: Path) -> None:
    model = onnx.load(file)
    path = tmp_path / "outside.onnx"
    onnx.save(model, path, save_as_external_data=True, size_threshold=0, location="weights.bin")
    report = verify(path)
    assert report["verdict"] == "not verified"
    assert list(report["checks"]) == ["stands alone"]
    assert "keeps the weight" in report["reasons"][0]


def test_a_file_that_passed_its_proof(tmp_path: Path) -> None:
    report = verify(make_file(tmp_path, proof="passed"))
    assert (report["verdict"], report["checks"]["proof"], report["notes"]) == ("verified", "ok", {})


@pytest.mark.parametrize("verdict", ["failed", "ill-conditioned", "inconclusive"])
def test_a_file_that_did_not_pass_its_proof(verdict: str, tmp_path: Path) -> None:
    """The seal is valid and the golden outputs are correct; only the verdict is not *passed*."""
    path = make_file(tmp_path, proof=verdict)
    outcome = run_zoo("verify", path)
    assert outcome.exit_code == 4
    assert outcome.stdout.startswith(f"{path}: not verified\n")
    reason = f"the verdict in the file is {verdict!r}; take a file that passed, or give --rejected"
    assert f"  proof         FAILED  {reason}\n" in outcome.stdout
    assert outcome.stderr == f"error: {path}: proof: {reason}\n"
    report = json.loads(run_zoo("verify", path, "--json").stdout)
    assert {name: result for name, result in report["checks"].items() if result != "ok"} == {"proof": reason}
    allowed = run_zoo("verify", path, "--rejected")
    assert allowed.exit_code == 0
    assert f"  proof         the verdict in the file is {verdict!r}, and --rejected accepts it\n" in allowed.stdout


def test_a_file_without_a_verdict_is_no_fault(file: Path) -> None:
    """An exporter that is called from Python writes no verdict."""
    outcome = run_zoo("verify", file)
    assert outcome.exit_code == 0
    assert "  proof         no verdict in the file\n" in outcome.stdout
    report = verify(file)
    assert report["notes"] == {"proof": "no verdict in the file"}
    assert "proof" not in report["checks"]


@pytest.mark.parametrize("sealed", [True, False])
def test_a_file_without_a_golden_output(sealed: bool, tmp_path: Path) -> None:
    path = write(make_model("lstm", hidden_size=8), tmp_path)
    if not sealed:
        rewrite(path, onnx.load(path))
        onnx.save(onnx.load(path), path)
    report = verify(path)
    assert report["verdict"] == "not verified"
    assert report["checks"]["golden output"].startswith("cannot be computed: ")


# --- the expected hash ----------------------------------------------------------------------------------------------


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_altered(file: Path, path: Path) -> Path:
    """Write a copy of a file in which the name of an entry is altered, with a renewed seal, as a forger would."""
    path.write_bytes(seal_onnx(file.read_bytes().replace(b"small", b"smalt"), {}))
    return path


def test_the_report_has_the_hash_of_the_whole_file(file: Path) -> None:
    assert verify(file)["sha256"] == hash_of(file)
    assert f"  sha256        {hash_of(file)}\n" in run_zoo("verify", file).stdout


@pytest.mark.parametrize("prefix", ["", "sha256:"])
@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_the_expected_hash(file: Path, prefix: str, change: Callable[[str], str]) -> None:
    outcome = run_zoo("verify", file, "--expect", prefix + change(hash_of(file)))
    assert outcome.exit_code == 0
    assert "  expected hash ok\n" in outcome.stdout
    assert next(iter(verify(file, expect=hash_of(file))["checks"])) == "expected hash"


def test_a_renewed_seal_passes_and_the_expected_hash_finds_it(file: Path, tmp_path: Path) -> None:
    """The file with another hash is not run."""
    path = write_altered(file, tmp_path / "altered.onnx")
    assert verify(path)["verdict"] == "verified"
    outcome = run_zoo("verify", path, "--expect", hash_of(file))
    assert outcome.exit_code == 4
    assert outcome.stdout.startswith(f"{path}: not verified\n  expected hash FAILED  its SHA-256 is ")
    assert "  golden output not run, since the file is not the expected one\n" in outcome.stdout
    assert outcome.stderr == (
        f"error: {path}: expected hash: its SHA-256 is {hash_of(path)}, expected {hash_of(file)}: it was altered, or "
        "it is another file, such as that of another export; get the original file, or the hash of this one from a "
        "source that you trust\n"
    )
    report = json.loads(run_zoo("verify", path, "--expect", hash_of(file), "--json").stdout)
    assert (report["checks"]["seal"], report["verdict"], report["sha256"]) == ("ok", "not verified", hash_of(path))
    assert "outputs" not in report


def test_a_damaged_file_fails_both_checks(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "damaged.onnx"
    path.write_bytes(file.read_bytes().replace(b"small", b"smalt"))
    checks = verify(path, expect=hash_of(file))["checks"]
    assert {name for name, result in checks.items() if result != "ok"} == {"expected hash", "seal"}


NO_HASHES = ["", "abc", "sha256:", "g" * 64, "0" * 63, "0" * 65, "sha1:" + "0" * 64, " " + "0" * 64, "0" * 64 + "\n"]
NO_HASHES += ["SHA256:" + "0" * 64, "٣" * 64, "0" * 5000]


@pytest.mark.parametrize("text", NO_HASHES, ids=ascii)
def test_what_is_no_hash_is_a_usage_error(file: Path, text: str) -> None:
    outcome = run_zoo("verify", file, "--expect", text)
    assert (outcome.exit_code, outcome.stdout, outcome.stderr.count("\n")) == (2, "", 1)
    assert f" has {len(text)} characters and is no SHA-256: expected 64 hexadecimal digits" in outcome.stderr
    for call in (lambda: verify(file, expect=text), lambda: OnnxModel(file, sha256=text)):
        with pytest.raises(UsageError, match="is no SHA-256"):
            call()


def test_a_program_gives_the_expected_hash(tmp_path: Path) -> None:
    _, model = numbers(tmp_path)
    assert OnnxModel(model.path, sha256=hash_of(model.path)).signature == model.signature
    with pytest.raises(RunError, match=f"its SHA-256 is {hash_of(model.path)}, expected {'0' * 64}: "):
        OnnxModel(model.path, sha256="0" * 64)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"hello")
    assert run_zoo("verify", path).exit_code == 4
    path.write_bytes(seal_onnx(onnx.ModelProto(graph=onnx.GraphProto(name="g")).SerializeToString(), {}))
    assert "loads" in verify(path)["checks"]
    assert run_zoo("verify", tmp_path / "none.onnx").exit_code == 1


@pytest.mark.skipif(unavailable("cuda") is None, reason="CUDA can run here")
def test_a_provider_that_cannot_run(file: Path) -> None:
    outcome = run_zoo("verify", file, "--provider", "cuda")
    assert outcome.exit_code == 5
    assert outcome.stderr == f"error: cuda: unavailable: {unavailable('cuda')}\n"


def test_the_command_needs_neither_torch_nor_onnx(file: Path) -> None:
    """In a separate process in which neither can be imported."""
    program = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['onnx'] = sys.modules['onnx_ir'] = None\n"
        f"sys.argv = ['zoo', 'verify', {str(file)!r}, '--json', '--expect', {hash_of(file)!r}]\n"
        "from zoo.cli.main import main\n"
        "main()\n"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["verdict"] == "verified"


def test_the_table(file: Path) -> None:
    outcome = run_zoo("verify", file)
    assert outcome.exit_code == 0
    lines = [" ".join(line.split()) for line in outcome.stdout.splitlines()]
    assert lines[0] == f"{file}: verified"
    assert "seal ok" in lines
    assert f"nodes {verify(file)['nodes']['CPUExecutionProvider']} on CPU" in lines
    assert any(line.startswith("torch 1.0 ") for line in lines)
    assert all(len(line) <= 80 for line in outcome.stdout.splitlines()[1:])
