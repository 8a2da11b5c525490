"""A sample of PyTorch's own grid of recurrent exports; ``python -m tests.exporters.grid`` runs all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exporters.grid import CASES, Case, judge
from tests.exporters.modules import ROUNDINGS

SAMPLE = CASES[::23]
"""23 shares no factor with the sizes of the grid, so that the sample has every value of every option."""


def test_the_grid_and_its_sample() -> None:
    assert len(CASES) == len(set(map(str, CASES))) == 192
    for name in ("kind", "layers", "bidirectional", "states", "packing", "dropout"):
        assert {getattr(case, name) for case in SAMPLE} == {getattr(case, name) for case in CASES}


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_a_case_agrees(case: Case, tmp_path: Path) -> None:
    assert judge(case, tmp_path) <= ROUNDINGS
