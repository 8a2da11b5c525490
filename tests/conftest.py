"""For all tests: torch.onnx's library of operators is read once a process, rather than at each of hundreds of exports.

It is more than half of what tracing a cell takes, and the same each time. Where torch keeps it elsewhere, the tests are
slower and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_library_of_operators() -> Iterator[None]:
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry
    except ImportError:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        yield
