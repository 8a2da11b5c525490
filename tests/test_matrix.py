"""Every built-in architecture, proven on the CPU: the whole matrix of options."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.matrix import CASES, Case
from zoo.cases import SHAPES


def test_matrix_is_whole() -> None:
    """Five kinds, three directions, two depths, bias or none; two implementations, but one of GRU's reset before."""
    assert len(set(CASES)) == len(CASES) == 4 * 3 * 2 * 2 * 2 + 1 * 3 * 2 * 2


@pytest.mark.parametrize("case", CASES, ids=str)
def test_parity_on_cpu(case: Case, tmp_path: Path) -> None:
    assert {layer.fused for layer in case.model(hidden_size=16).layers()} == {case.implementation == "fused"}
    report = case.prove(tmp_path, ["cpu"])
    assert report["verdict"] == "passed", report["reasons"]
    assert {(one["batch"], one["time"]) for one in report["cases"]} == set(SHAPES)
    (result,) = report["providers"]
    assert [output["ill_conditioned_cases"] for output in result["outputs"]] == [0, 0]
