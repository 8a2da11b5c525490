"""Each module of the table is exported and proven at sizes that were not traced; wrong files do not pass."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
import torch

import zoo
from tests.exporters.modules import ROUNDINGS, SHAPES, assert_agrees, export
from tests.modules.catalogue import CASES
from tests.modules.table import EXAMPLE, declared_wrongly, judge_wrong, packed
from tests.modules.wrong import WRONG


def test_the_catalogue() -> None:
    """At least twenty modules, and none twice."""
    assert len({case.title for case in CASES.values()}) == len(CASES) >= 22


REPACKED = [name for name, case in CASES.items() if case.repacked][::3]
PROVEN = ("next_image", "masked_pooling", "one_sequence", "pyramid")
"""Modules that the tests prove, at seconds each: convolutions in a zoo.Cell, a mask, no batch axis, refused sizes.
`tests/library/test_module.py` proves one with tokens, and ``python -m tests.modules`` all of them."""


@pytest.mark.slow
@pytest.mark.parametrize("name", PROVEN)
def test_a_module_passes_its_proof(name: str, tmp_path: Path) -> None:
    case, path = CASES[name], tmp_path / "net.onnx"
    torch.manual_seed(1)
    proof = zoo.export_module(case.made(), case.args(*EXAMPLE), path, providers=("cpu",), seed=1)
    assert (proof.verdict, proof.reasons) == ("passed", ())
    assert proof.path == path
    tried = {(item["batch"], item["time"]) for item in proof.report["cases"]}
    assert len(tried - {EXAMPLE}) > 5
    assert declared_wrongly(case.made(), case.args, path) == ""


@pytest.mark.parametrize("name", REPACKED)
def test_a_module_agrees_over_packed_sequences(name: str, tmp_path: Path) -> None:
    net, args = packed(CASES[name])
    path = tmp_path / "net.onnx"
    torch.manual_seed(1)
    export(net, args(*SHAPES[0]), path)
    for shape in SHAPES:
        assert_agrees(net, path, args(*shape))


def test_an_amplifier_over_a_second_of_sound(tmp_path: Path) -> None:
    """48,000 steps, of which 7 were traced."""
    case, path = CASES["amplifier"], tmp_path / "net.onnx"
    torch.manual_seed(1)
    net = case.made()
    export(net, case.args(*EXAMPLE), path)
    samples = torch.randn(1, 48_000, 1) / 4
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"samples": samples.numpy()})
    with torch.no_grad():
        exact = net.double()(samples.double())
    assert float((torch.from_numpy(output) - exact).abs().max()) < ROUNDINGS * 2**-24


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.filterwarnings("ignore")  # torch.onnx, which writes some of the files, issues many
def test_a_wrong_file_does_not_pass(name: str, tmp_path: Path) -> None:
    proof = judge_wrong(WRONG[name], tmp_path / "net.onnx")
    assert proof.verdict == "failed"
    assert all(word in " ".join(proof.reasons) for word in WRONG[name].words)
