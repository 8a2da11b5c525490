"""Observations that a report records beside the verdict: repeatability, copies between devices, distance of providers.

Does not need torch.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.parity import Array, Expected, judge
from zoo.runtime.session import OnnxSession
from zoo.runtime.tensors import TensorSession

if TYPE_CHECKING:
    from zoo.proof.cases import Case

RUNS = 10
THREADED = 128
"""Steps over all rows of a case that is repeated."""
COPIES = ("MemcpyFromHost", "MemcpyToHost")
"""Operators that ONNX Runtime inserts between nodes of different providers (onnxruntime, transformer_memcpy.cc)."""


def repeatability(session: OnnxSession | TensorSession, *inputs: Any) -> dict[str, Any]:
    """Run one input ten times and report whether all outputs are bit-identical, with their largest difference."""
    first, *others = [session.run(*inputs) for _ in range(RUNS)]
    return {
        "runs": RUNS,
        "identical": all(other[name].tobytes() == value.tobytes() for other in others for name, value in first.items()),
        "largest_difference": max(
            _largest_difference(other[name], value) for other in others for name, value in first.items()
        ),
    }


def _largest_difference(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return the largest difference of two arrays; entries that are both NaN or the same infinity count as equal."""
    equal = (first == second) | ((first != first) & (second != second))
    with np.errstate(invalid="ignore"):  # infinity minus a number
        return float(np.abs(first.astype(np.float64) - second)[~equal].max(initial=0.0))


def device_copies(path: Path, provider: str, x: NDArray[Any]) -> list[dict[str, int]]:
    """Count the nodes that copy between devices, for an input's first step and for all of its steps.

    Args:
        path: the file.
        provider: a key of `zoo.runtime.providers.PROVIDERS`.
        x: (batch, time, ...); a file for a fixed number of steps gets all of them both times.

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
    """Return the number of copies between devices in the events of an ONNX Runtime profile, one for each node run."""
    return sum(event.get("cat") == "Node" and event.get("args", {}).get("op_name") in COPIES for event in events)


def repeated_case(cases: Sequence[Case]) -> Case:
    """Return the case to repeat: the smallest with `THREADED` steps over all rows and several rows.

    ONNX Runtime divides such a case among its threads, whose order is the usual cause of a difference. The largest case
    where none has so many steps.
    """
    threaded = [case for case in cases if case.batch > 1 and case.batch * case.time >= THREADED]
    if threaded:
        return min(threaded, key=lambda case: case.batch * case.time)
    return max(cases, key=lambda case: case.batch * case.time)


def repeats_fault(repeats: Mapping[str, Any], provider: str) -> str:
    """Return why a file fails whose repeated runs differ; empty where they agree, and on a GPU.

    On the CPU ONNX Runtime computes the same operations in the same order each time. The order of a sum on a GPU may
    change from run to run.

    Args:
        repeats: the result of `repeatability`.
        provider: a key of `zoo.runtime.providers.PROVIDERS`.
    """
    if repeats["identical"] or provider != "cpu":
        return ""
    return (
        f"{repeats['runs']} runs of one input differ by up to {repeats['largest_difference']:.2g}, and must be "
        "identical on the CPU"
    )


def largest_over_budget(expected: Sequence[Mapping[str, Expected]], actual: Sequence[Mapping[str, Array]]) -> float:
    """Return the largest error of all inputs and outputs in units of its budget, over the judged steps."""
    pairs = zip(expected, actual, strict=True)
    return max(result.over_budget for each, outputs in pairs for result in judge(each, outputs).values())


def difference_over_budget(
    expected: Sequence[Mapping[str, Expected]],
    first: Sequence[Mapping[str, Array]],
    second: Sequence[Mapping[str, Array]],
) -> float:
    """Return the largest difference between the outputs of two providers, in units of the budget of a single one."""
    first_as_exact = [
        {name: replace(value, exact=outputs[name].astype(value.exact.dtype)) for name, value in each.items()}
        for each, outputs in zip(expected, first, strict=True)
    ]
    return largest_over_budget(first_as_exact, second)
