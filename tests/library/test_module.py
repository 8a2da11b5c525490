"""``zoo.export_module``, ``zoo.prove_module`` and ``zoo.testing.assert_parity``: files, reports and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

import zoo
import zoo.testing
from zoo.runtime.onnx_seal import seal_fault
from zoo.runtime.verify import verify


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 3)
        self.rnn = nn.LSTM(3, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.head(self.rnn(self.embedding(ids))[0])
        return scores


def ids() -> Tensor:
    return torch.randint(9, (3, 6), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return Tagger().eval()


@pytest.fixture(scope="module")
def exported(net: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> zoo.Proof:
    path = tmp_path_factory.mktemp("exported") / "folder" / "tagger.onnx"
    return zoo.export_module(net, ids(), path, providers=("cpu",), seed=3)


def altered(path: Path, target: Path) -> Path:
    model = onnx.load(path)
    weight = next(item for item in model.graph.initializer if item.name == "head.weight")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) + np.float32(1e-3), weight.name))
    onnx.save(model, target)
    return target


def test_an_exported_file_is_proven_and_has_its_report_beside_it(exported: zoo.Proof) -> None:
    assert exported.passed, exported.reasons
    assert sorted(path.name for path in exported.path.parent.iterdir()) == ["tagger.onnx", "tagger.parity.json"]
    report = json.loads((exported.path.parent / "tagger.parity.json").read_text())
    assert report["verdict"] == "passed"
    assert report["module"] == "Tagger"
    assert report["signature"]["inputs"] == [{"name": "ids", "dtype": "int64", "shape": ["batch", "time"]}]
    assert report["export"]["options"]["lowering"] == "auto"
    assert report["seed"] == exported.report["seed"] == 3
    content = exported.path.read_bytes()
    assert seal_fault(content) is None
    metadata = {item.key: item.value for item in onnx.load_from_string(content).metadata_props}
    assert metadata["module"] == "Tagger"
    assert json.loads(metadata["parity"])["verdict"] == "passed"


def test_verify_checks_what_the_file_of_a_module_has(exported: zoo.Proof, tmp_path: Path) -> None:
    report = verify(exported.path)
    assert (report["verdict"], report["reasons"]) == ("verified", [])
    assert list(report["checks"]) == ["stands alone", "seal", "loads", "proof"]
    assert "none in the file of a module" in report["notes"]["golden output"]
    assert verify(altered(exported.path, tmp_path / "altered.onnx"))["verdict"] == "not verified"


def test_a_file_is_judged_and_nothing_is_written(exported: zoo.Proof, net: nn.Module, tmp_path: Path) -> None:
    path = altered(exported.path, tmp_path / "altered.onnx")
    proof = zoo.prove_module(net, path, (ids(),), providers=("cpu",), seed=3)
    assert (proof.verdict, proof.path) == ("failed", path)
    assert "times its budget" in proof.reasons[0]
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(AssertionError, match=r"altered\.onnx: failed\n  cpu: output: error"):
        zoo.testing.assert_parity(net, path, ids(), providers=("cpu",), seed=3)
    zoo.testing.assert_parity(net, exported.path, ids(), providers=("cpu",), seed=3)


def test_a_rejected_file_replaces_no_good_one(
    exported: zoo.Proof, net: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exporter that errs: its file goes to rejected/ with its report; the next good one removes it."""
    from zoo_onnx import OnnxExporter

    before = exported.path.read_bytes()
    right = OnnxExporter.export_module

    def wrong(self: OnnxExporter, module: nn.Module, args: Any, path: Path, *rest: Any) -> zoo.ModuleSignature:
        signature = right(self, module, args, path, *rest)
        altered(path, path)
        return signature

    with monkeypatch.context() as patch:
        patch.setattr(OnnxExporter, "export_module", wrong)
        proof = zoo.export_module(net, ids(), exported.path, providers=("cpu",), seed=3)
    assert proof.verdict == "failed"
    assert proof.path == exported.path.parent / "rejected" / "tagger.onnx"
    assert sorted(path.name for path in proof.path.parent.iterdir()) == ["tagger.onnx", "tagger.parity.json"]
    assert exported.path.read_bytes() == before
    with pytest.raises(zoo.ParityError, match="failed"):
        proof.require_passed()
    again = zoo.export_module(net, ids(), exported.path, providers=("cpu",), seed=3)
    assert again.passed
    assert not proof.path.parent.exists()


def test_a_file_of_another_origin_is_not_replaced(
    exported: zoo.Proof, net: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the place of the new file nor where a rejected one would go; refused before the work starts."""
    path = tmp_path / "net.onnx"
    rejected = tmp_path / "rejected" / "net.onnx"
    rejected.parent.mkdir()
    for place in (path, rejected):
        for content in (b"my file", altered(exported.path, tmp_path / "altered.onnx").read_bytes()):
            place.write_bytes(content)
            with monkeypatch.context() as patch:
                patch.setattr("zoo.jobs.module.ModuleProof", None)
                with pytest.raises(zoo.UsageError, match=f"^{place}: is no intact export of a module, so it is not "):
                    zoo.export_module(net, ids(), path, providers=("cpu",), seed=3)
            assert place.read_bytes() == content
        place.unlink()


def test_a_rejected_file_without_a_seal_is_replaced(
    net: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not be annotated; the record in its report shows its origin."""
    from zoo.run.candidate import Candidate
    from zoo_onnx import OnnxExporter

    right = OnnxExporter.export_module

    def wrong(self: OnnxExporter, module: nn.Module, args: Any, path: Path, *rest: Any) -> zoo.ModuleSignature:
        signature = right(self, module, args, path, *rest)
        altered(path, path)
        return signature

    path, rejected = tmp_path / "net.onnx", tmp_path / "rejected" / "net.onnx"
    with monkeypatch.context() as patch:
        patch.setattr(OnnxExporter, "export_module", wrong)
        patch.setattr(Candidate, "annotated", lambda *_: None)
        proof = zoo.export_module(net, ids(), path, providers=("cpu",))
        assert (proof.verdict, proof.path) == ("failed", rejected)
        assert seal_fault(rejected.read_bytes()) is not None
        assert zoo.export_module(net, ids(), path, providers=("cpu",)).path == rejected
    rejected.write_bytes(rejected.read_bytes()[:-1])
    with pytest.raises(zoo.UsageError, match="is no intact export of a module"):
        zoo.export_module(net, ids(), path, providers=("cpu",))


@pytest.mark.parametrize("content", [b"hello", b""], ids=["text", "empty"])
def test_a_fault_of_a_file_is_named_once(content: bytes, net: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    (reason,) = zoo.prove_module(net, path, ids(), providers=("cpu",)).reasons
    assert reason.startswith(f"{path}: is not an ONNX file, or only a part of one")


def test_nothing_is_half_written(net: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.proof.module import ModuleProof

    def interrupted(*_: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(ModuleProof, "prove", interrupted)
    with pytest.raises(KeyboardInterrupt):
        zoo.export_module(net, ids(), tmp_path / "net.onnx", providers=("cpu",))
    assert list(tmp_path.iterdir()) == []


def test_errors_of_arguments(net: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(zoo.PluginError, match=r"no plugin writes files with the suffix '\.h5'"):
        zoo.export_module(net, ids(), tmp_path / "net.h5")
    with pytest.raises(zoo.UsageError, match="providers: expected one of cpu, cuda, got 'tpu'"):
        zoo.export_module(net, ids(), path, providers=("tpu",))
    with pytest.raises(zoo.UsageError, match="lowering: expected one of"):
        zoo.export_module(net, ids(), path, lowering="fast")  # type: ignore[arg-type]
    with pytest.raises(zoo.UsageError, match=r"seed: expected an integer from 0 to 2\*\*64 - 1, got -1"):
        zoo.prove_module(net, path, ids(), seed=-1)
    with pytest.raises(zoo.UsageError, match="args: expected a tuple of arguments"):
        zoo.export_module(net, {"ids": ids()}, path)  # type: ignore[arg-type]
    with pytest.raises(zoo.UsageError, match="Tagger cannot be proven: Tagger is in training mode"):
        zoo.export_module(Tagger(), ids(), path)
    with pytest.raises(zoo.RunError, match="does not exist"):
        zoo.prove_module(net, path, ids())
    assert list(tmp_path.iterdir()) == []
