"""Fixture for all tests: torch.onnx's operator library is loaded once per process instead of once per export.

Loading it takes more than half of the time to trace a cell, and the result is always the same. If torch moves the
class, the tests only become slower.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest


@pytest.fixture(scope="session", autouse=True)
def _cached_operator_library() -> Iterator[None]:
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry
    except ImportError:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        yield
