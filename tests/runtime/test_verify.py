"""`zoo verify`: a file on another machine, where there is neither torch nor onnx."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.support.command import run_zoo
from tests.support.files import rewrite
from tests.support.models import draw, make_model, sequences, write
from zoo.proof.golden_oracle import golden
from zoo.runtime.onnx_contents import onnx_fault
from zoo.runtime.onnx_seal import seal_onnx
from zoo.runtime.providers import unavailable
from zoo.runtime.verify import verify
from zoo_onnx import OnnxExporter


def made(folder: Path, *, streaming: bool = False, change: float = 0.0, proof: str | None = None) -> Path:
    """A file with its golden output, of a model whose head has been changed since; and with the verdict of a proof."""
    model = make_model("lstm", hidden_size=8, pooling=None)
    example = golden(model, sequences(draw(2, 6)))
    if change:
        next(model.head.parameters()).data[0, 0] += change
    path = write(model, folder, streaming=streaming)
    said = {"name": "small", "lowering": "auto", "versions": json.dumps({"torch": "1.0", "python": "3.9"})}
    verdict = {} if proof is None else {"parity": json.dumps({"verdict": proof})}
    OnnxExporter().annotate(path, {**said, **verdict, **example.to_metadata()})
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("verify"))


@pytest.mark.parametrize("streaming", [False, True])
def test_a_whole_file(streaming: bool, tmp_path: Path) -> None:
    found = verify(made(tmp_path, streaming=streaming))
    assert (found["verdict"], found["reasons"]) == ("verified", [])
    assert found["checks"] == dict.fromkeys(("stands alone", "seal", "loads", "golden output"), "ok")
    assert [(one["name"], one["status"]) for one in found["outputs"]] == [
        ("logits", "passed"),
        ("probabilities", "passed"),
    ]
    assert all(0 <= one["over_budget"] <= 1 for one in found["outputs"])
    assert (found["opset"], found["name"], found["precision"]) == ("20", "small", "float32")
    assert found.get("takes") == ("chunks" if streaming else None)
    assert found["versions"]["file"]["torch"] == "1.0"
    assert found["recurrent"] == {"CPUExecutionProvider": 1}


def test_one_flipped_bit_anywhere_is_found(file: Path) -> None:
    """400 places drawn over the whole file, its ends and the seal included."""
    content = bytearray(file.read_bytes())
    generator = np.random.default_rng(0)
    ends = [*range(8), *range(len(content) - 80, len(content))]
    for place in [*ends, *generator.integers(len(content), size=400 - len(ends))]:
        bit = 1 << int(generator.integers(8))
        content[place] ^= bit
        assert onnx_fault(bytes(content)) is not None, place
        content[place] ^= bit
    assert onnx_fault(bytes(content)) is None


def test_a_flipped_bit_in_the_command(file: Path, tmp_path: Path) -> None:
    content = bytearray(file.read_bytes())
    content[content.index(b"layer_0") + 400] ^= 1
    path = tmp_path / "flipped.onnx"
    path.write_bytes(content)
    outcome = run_zoo("verify", path)
    assert outcome.exit_code == 4
    assert outcome.stdout.startswith(f"{path}: not verified\n")
    assert "was altered since it was exported" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_a_file_that_computes_something_else(tmp_path: Path) -> None:
    """Sealed as it is: the golden output tells."""
    found = verify(made(tmp_path, change=1e-3))
    assert found["verdict"] == "not verified"
    assert found["checks"]["seal"] == "ok"
    assert found["checks"]["golden output"].startswith("logits: error ")
    assert found["outputs"][0]["over_budget"] > 1


def test_a_file_that_wants_another_file_is_not_run(file: Path, tmp_path: Path) -> None:
    model = onnx.load(file)
    path = tmp_path / "outside.onnx"
    onnx.save(model, path, save_as_external_data=True, size_threshold=0, location="weights.bin")
    found = verify(path)
    assert found["verdict"] == "not verified"
    assert list(found["checks"]) == ["stands alone"]
    assert "keeps the weight" in found["reasons"][0]


def test_a_file_that_passed_its_proof(tmp_path: Path) -> None:
    found = verify(made(tmp_path, proof="passed"))
    assert (found["verdict"], found["checks"]["proof"], found["notes"]) == ("verified", "ok", {})


@pytest.mark.parametrize("verdict", ["failed", "ill-conditioned", "inconclusive"])
def test_a_file_that_did_not_pass_its_proof(verdict: str, tmp_path: Path) -> None:
    """Everything else about it is right: it is as it was written, and computes here what its golden output says."""
    path = made(tmp_path, proof=verdict)
    outcome = run_zoo("verify", path)
    assert outcome.exit_code == 4
    assert outcome.stdout.startswith(f"{path}: not verified\n")
    reason = f"the verdict in the file is {verdict!r}; take a file that passed, or give --rejected"
    assert f"  proof          FAILED  {reason}\n" in outcome.stdout
    assert outcome.stderr == f"error: {path}: proof: {reason}\n"
    report = json.loads(run_zoo("verify", path, "--json").stdout)
    assert {name: said for name, said in report["checks"].items() if said != "ok"} == {"proof": reason}
    allowed = run_zoo("verify", path, "--rejected")
    assert allowed.exit_code == 0
    assert f"  proof          the verdict in the file is {verdict!r}, and --rejected accepts it\n" in allowed.stdout


def test_a_file_without_a_verdict_is_no_fault(file: Path) -> None:
    """An exporter called from Python writes none."""
    outcome = run_zoo("verify", file)
    assert outcome.exit_code == 0
    assert "  proof          no verdict in the file\n" in outcome.stdout
    found = verify(file)
    assert found["notes"] == {"proof": "no verdict in the file"}
    assert "proof" not in found["checks"]


@pytest.mark.parametrize("sealed", [True, False])
def test_a_file_without_a_golden_output(sealed: bool, tmp_path: Path) -> None:
    path = write(make_model("lstm", hidden_size=8), tmp_path)
    if not sealed:
        rewrite(path, onnx.load(path))
        onnx.save(onnx.load(path), path)
    found = verify(path)
    assert found["verdict"] == "not verified"
    assert found["checks"]["golden output"].startswith("cannot be computed: ")


def test_what_is_no_model(tmp_path: Path) -> None:
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
    """In a process of its own, where both cannot be imported."""
    program = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['onnx'] = sys.modules['onnx_ir'] = None\n"
        f"sys.argv = ['zoo', 'verify', {str(file)!r}, '--json']\n"
        "from zoo.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "verified"


def test_the_table(file: Path) -> None:
    outcome = run_zoo("verify", file)
    assert outcome.exit_code == 0
    lines = [" ".join(line.split()) for line in outcome.stdout.splitlines()]
    assert lines[0] == f"{file}: verified"
    assert "seal ok" in lines
    assert f"nodes {verify(file)['nodes']['CPUExecutionProvider']} on CPU" in lines
    assert any(line.startswith("torch 1.0 ") for line in lines)
    assert all(len(line) <= 80 for line in outcome.stdout.splitlines()[1:])
