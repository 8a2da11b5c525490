"""Parity on CUDA: a sample of the matrix, in strict and in deployed mode, Scan bodies, placement, lower precision."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gpu.record import HIDDEN_SIZE
from tests.matrix.ten_cells import CELLS, prove
from tests.support.builders import ALL_KINDS, KINDS
from tests.support.models import draw, make_model, sequences, write
from zoo.exporting.exporter import SHORT, Precision
from zoo.proof.expectations import Expectations
from zoo.proof.prove import FileProperties, cases_for, prove_against
from zoo.proof.prove import prove as prove_file
from zoo.runtime.placement import add_unpredicted, require_placement
from zoo.runtime.providers import unavailable
from zoo_onnx import OnnxExporter

REASON = unavailable("cuda")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REASON is not None, reason=f"cuda: unavailable: {REASON}")]

ON_CPU = ("rnn_relu", "gru_before")
"""Cells without a CUDA kernel: their recurrent nodes, and no others, run on the CPU."""


@pytest.mark.parametrize("kind", CELLS)
def test_parity_on_cuda(kind: str) -> None:
    """Each cell has a sample of its own; up to opset 20 its recurrent operators run on the expected provider."""
    rows = [row for row in prove([kind], ["cuda"], full=False, hidden_size=HIDDEN_SIZE) if row["status"] != "refused"]
    assert [row for row in rows if row["status"] == "failed"] == []
    assert {row["mode"] for row in rows} == {"cuda strict", "cuda deployed"}
    for row in rows if kind in KINDS else ():
        strays = {"RNN", "LSTM", "GRU"} & set(row["elsewhere"])
        assert row["opset"] > 20 or bool(strays) == (kind in ON_CPU), row


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_scan_parity_on_cuda(kind: str, tmp_path: Path) -> None:
    """The step of each cell in a Scan, bidirectional, with mixed lengths and NaN in the padding."""
    model = make_model(kind, hidden_size=HIDDEN_SIZE, direction="bidirectional", takes_lengths=True, pooling=None)
    file = write(model, tmp_path, lowering="scan")
    report = prove_file(model, file, sequences(draw(64, 8)), ["cuda"], [], lambda *_: None)
    assert report["verdict"] == "passed", report["reasons"]


@pytest.mark.parametrize("kind", ["lstm", "gru_before", "rnn_relu", "mgu"])
@pytest.mark.parametrize("lowering", ["auto", "scan"])
def test_nodes_run_on_the_predicted_provider(kind: str, lowering: str, tmp_path: Path) -> None:
    """In a file for the target CUDA the recurrent nodes run there, without a copy at each step."""
    model = make_model(kind, hidden_size=HIDDEN_SIZE, takes_lengths=True, pooling=None)
    file = write(model, tmp_path, lowering=lowering, target="cuda")
    report = prove_file(model, file, sequences(draw(64, 8)), ["cpu", "cuda"], [], lambda *_: None)
    require_placement(report, ["cuda"])
    assert report["verdict"] == "passed", report["reasons"]
    add_unpredicted(report, OnnxExporter().placement(file))
    on_cuda = [result for result in report["providers"] if result["provider"] == "cuda"]
    assert [result["unpredicted"] for result in on_cuda] == [[], []]
    assert all(result["against_cpu"] <= 2 for result in on_cuda if result["name"] == "cuda strict")


@pytest.mark.parametrize("kind", ["lstm", "mgu"])
@pytest.mark.parametrize("precision", SHORT)
def test_lower_precision_on_cuda(kind: str, precision: Precision, tmp_path: Path) -> None:
    model, made = make_model(kind, hidden_size=HIDDEN_SIZE), FileProperties(precision=precision)
    file = write(model, tmp_path, precision=precision)
    expectations = Expectations(model, cases_for(model, sequences(draw(64, 8)), made))
    report = prove_against(expectations, file, made, ["cuda"], [], data_steps=8)
    assert report["verdict"] == "passed", report["reasons"]
