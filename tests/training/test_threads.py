"""Number of threads of a training."""

from __future__ import annotations

import os

import pytest

from tests.support.models import make_model
from zoo.training.threads import threads_for


@pytest.mark.parametrize(
    ("hidden", "batch", "cores", "expected"),
    [
        (32, 64, 8, 1),  # 2 * 64 * (4 * 32 * (8 + 32 + 2)) = 0.7 MFLOP a step
        (128, 64, 8, 1),  # 9.0 MFLOP: less than twice 5
        (256, 64, 8, 6),  # 34.9 MFLOP
        (256, 64, 4, 4),
        (256, 1, 8, 1),
    ],
)
def test_threads_depend_on_the_work_of_a_step(
    hidden: int, batch: int, cores: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert threads_for(make_model("lstm", hidden_size=hidden, direction="bidirectional"), batch) == expected


def test_the_environment_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert threads_for(make_model("lstm", hidden_size=8), 64) is None
