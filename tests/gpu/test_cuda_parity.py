"""The sample of the matrix, proven on CUDA: in float32, and as a user would run it."""

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
from zoo.runtime.placement import add_differences, insist_on_placement
from zoo.runtime.providers import unavailable
from zoo_onnx import OnnxExporter

REASON = unavailable("cuda")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REASON is not None, reason=f"cuda: unavailable: {REASON}")]

ON_CPU = ("rnn_relu", "gru_before")
"""The CUDA provider has no kernel for these and leaves the recurrent nodes, and they alone, to the CPU."""


@pytest.mark.parametrize("kind", CELLS)
def test_parity_on_cuda(kind: str) -> None:
    """A sample of each cell's own. Up to the default opset every operator runs where it is known to."""
    rows = [row for row in prove([kind], ["cuda"], full=False, hidden_size=HIDDEN_SIZE) if row["status"] != "refused"]
    assert [row for row in rows if row["status"] == "failed"] == []
    assert {row["mode"] for row in rows} == {"cuda strict", "cuda deployed"}
    for row in rows if kind in KINDS else ():
        strays = {"RNN", "LSTM", "GRU"} & set(row["elsewhere"])
        assert row["opset"] > 20 or bool(strays) == (kind in ON_CPU), row


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_scan_parity_on_cuda(kind: str, tmp_path: Path) -> None:
    """Each cell's own step, both ways, with mixed lengths and NaN behind them."""
    model = make_model(kind, hidden_size=HIDDEN_SIZE, direction="bidirectional", takes_lengths=True, pooling=None)
    file = write(model, tmp_path, lowering="scan")
    report = prove_file(model, file, sequences(draw(64, 8)), ["cuda"], [], lambda _: None)
    assert report["verdict"] == "passed", report["reasons"]


@pytest.mark.parametrize("kind", ["lstm", "gru_before", "rnn_relu", "mgu"])
@pytest.mark.parametrize("lowering", ["auto", "scan"])
def test_nodes_run_where_they_were_predicted_to(kind: str, lowering: str, tmp_path: Path) -> None:
    """Files made for CUDA: what recurs runs there, and nothing is copied once a step."""
    model = make_model(kind, hidden_size=HIDDEN_SIZE, takes_lengths=True, pooling=None)
    file = write(model, tmp_path, lowering=lowering, target="cuda")
    report = prove_file(model, file, sequences(draw(64, 8)), ["cpu", "cuda"], [], lambda _: None)
    insist_on_placement(report, ["cuda"])
    assert report["verdict"] == "passed", report["reasons"]
    add_differences(report, OnnxExporter().placement(file))
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
