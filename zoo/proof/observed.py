"""What is seen of a file on a provider beside its verdict: whether it repeats itself, what it copies between devices,
and how far its answers are from another provider's or from a finer precision's. Does not need torch.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.parity import Array, Expected, judge
from zoo.runtime.session import OnnxSession

RUNS = 10
COPIES = ("MemcpyFromHost", "MemcpyToHost")
"""The operators that ONNX Runtime puts between nodes of different providers (onnxruntime, transformer_memcpy.cc)."""


def repeatability(session: OnnxSession, *inputs: Any) -> dict[str, Any]:
    """Give one input ten times, and tell whether every answer is the same to the last bit, or how far they differ."""
    first, *others = [session.run(*inputs) for _ in range(RUNS)]
    return {
        "runs": RUNS,
        "identical": all(one[name].tobytes() == value.tobytes() for one in others for name, value in first.items()),
        "largest_difference": max(_apart(one[name], value) for one in others for name, value in first.items()),
    }


def _apart(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest difference of two arrays, 0 where both have NaN or the same infinity."""
    same = (one == other) | ((one != one) & (other != other))
    with np.errstate(invalid="ignore"):  # infinity less a number
        return float(np.abs(one.astype(np.float64) - other)[~same].max(initial=0.0))


def device_copies(path: Path, provider: str, x: NDArray[Any]) -> list[dict[str, int]]:
    """How many nodes that copy between devices run for an input's first step and for all of it.

    Args:
        path: the file.
        provider: where to run it.
        x: (batch, time, ...); a file for a fixed number of steps gets all of them twice.

    Returns:
        ``steps`` and ``nodes``, the shorter input first.
    """
    counts = []
    for steps in (1, x.shape[1]):
        with tempfile.TemporaryDirectory() as folder:
            session = OnnxSession(path, provider, profile=Path(folder) / "profile")
            given = x if session.input.steps else x[:, :steps]
            session.run(given)
            events = json.loads(session.end_profile().read_text())
        counts.append({"steps": given.shape[1], "nodes": count_copies(events)})
    return counts


def count_copies(events: Iterable[Mapping[str, Any]]) -> int:
    """How often something was copied between devices, by ONNX Runtime's profile: a list of events, of which each run of
    a node is one, with its operator."""
    return sum(event.get("cat") == "Node" and event.get("args", {}).get("op_name") in COPIES for event in events)


def median_index(sizes: Sequence[int]) -> int:
    """The number of the middle one by size."""
    return sorted(range(len(sizes)), key=sizes.__getitem__)[len(sizes) // 2]


def largest_over_budget(expected: Sequence[Mapping[str, Expected]], found: Sequence[Mapping[str, Array]]) -> float:
    """The largest error of all inputs and outputs in units of its budget, over the steps that can be judged."""
    pairs = zip(expected, found, strict=True)
    return max(one.over_budget for wanted, answer in pairs for one in judge(wanted, answer).values())


def difference_over_budget(
    expected: Sequence[Mapping[str, Expected]],
    one: Sequence[Mapping[str, Array]],
    other: Sequence[Mapping[str, Array]],
) -> float:
    """The largest difference between two providers' answers, in units of the budget that each alone has."""
    as_if_exact = [
        {name: replace(known, exact=_like(answer[name], known.exact)) for name, known in wanted.items()}
        for wanted, answer in zip(expected, one, strict=True)
    ]
    return largest_over_budget(as_if_exact, other)


def _like(answer: Array, exact: Array) -> Array:
    """An answer as an exact result is kept: floating-point numbers in float64."""
    return answer.astype(exact.dtype)
