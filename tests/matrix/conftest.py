"""Fixtures of the tests of the matrix."""

from __future__ import annotations

import pytest


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the matrix smaller: two shapes and two kinds of lengths."""
    monkeypatch.setattr("zoo.matrix.points.SHAPES", ((1, 1), (3, 5)))
    monkeypatch.setattr("zoo.matrix.points.LENGTHS", ("none", "mixed"))
