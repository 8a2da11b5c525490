"""Columns whose values float32 cannot distinguish."""

from __future__ import annotations

import numpy as np
import pytest

import zoo
from zoo.data import resolution
from zoo.data.resolution import lost_resolution

START = 1_700_000_000


@pytest.mark.parametrize("block", [7, 2**20])
def test_timestamps_lose_their_resolution(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(resolution, "_BLOCK", block)
    lost = lost_resolution(START + np.arange(120) * 4)
    assert lost is not None
    assert str(lost) == "120 different values became 5 in float32"
    assert lost.offset == START
    assert lost_resolution(START + np.arange(120) * 4 - lost.offset) is None


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=100_000),  # some are equal in float32, which is no loss
        np.arange(10.0) * 1e9,
        np.full(5, 1.7e9 + 1),
        np.array([np.nan, np.inf, 1.0]),
        np.array([]),
        np.array([1e300, 1.0]),
        1e-30 * np.arange(9),
    ],
)
def test_other_columns_keep_it(values: np.ndarray) -> None:
    assert lost_resolution(values) is None


def test_a_data_set_of_arrays_states_the_loss() -> None:
    random = np.random.default_rng(0)
    x = np.stack([START + np.arange(200.0).reshape(40, 5), random.random((40, 5))], -1)
    data = zoo.Dataset.from_arrays(x, np.arange(40) % 2)
    assert "feature [0]: 200 different values became 3 in float32; subtract 1700000000 before" in data.description
    tables = [{"time": row[:, 0], "value": row[:, 1]} for row in x]
    assert "'time': 200 different values became 3" in zoo.Dataset.from_arrays(tables, np.arange(40) % 2).description
    assert "float32" not in zoo.Dataset.from_arrays(x - [START, 0], np.arange(40) % 2).description
