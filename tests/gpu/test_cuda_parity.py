"""Every built-in architecture, proven on CUDA: in float32, and as a user would run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import ALL_KINDS
from tests.gpu.record import HIDDEN_SIZE
from tests.matrix import CASES, Case
from tests.models import draw, make_model, sequences, write
from zoo.proof import prove
from zoo.providers import unavailable

REASON = unavailable("cuda")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REASON is not None, reason=f"cuda: unavailable: {REASON}")]

ON_CPU = ("rnn_relu", "gru_before")
"""The CUDA provider has no kernel for these and leaves the recurrent nodes, and they alone, to the CPU."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_parity_on_cuda(case: Case, tmp_path: Path) -> None:
    report = case.prove(tmp_path, ["cuda"], HIDDEN_SIZE)
    assert report["verdict"] == "passed", report["reasons"]
    assert [result["name"] for result in report["providers"]] == ["cuda strict", "cuda deployed"]
    for result in report["providers"]:
        recurrent = {node["provider"] for node in result["placement"] if node["operator"] in ("RNN", "LSTM", "GRU")}
        assert recurrent == {"CPUExecutionProvider" if case.kind in ON_CPU else "CUDAExecutionProvider"}
        others = {node["provider"] for node in result["placement"]} - {"CPUExecutionProvider"}
        assert others == {"CUDAExecutionProvider"}


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_scan_parity_on_cuda(kind: str, tmp_path: Path) -> None:
    """Each cell's own step, both ways, with mixed lengths and NaN behind them."""
    model = make_model(kind, hidden_size=HIDDEN_SIZE, direction="bidirectional", takes_lengths=True, pooling=None)
    file = write(model, tmp_path, lowering="scan")
    report = prove(model, file, sequences(draw(64, 8)), ["cuda"], [], lambda _: None)
    assert report["verdict"] == "passed", report["reasons"]
