"""Each module through ``torch.onnx.export`` and through `zoo.export_module`: verdicts, sizes and times."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn
from torch.export import Dim

import zoo
from tests.exporters.modules import ROUNDINGS, export, worst_error
from tests.modules.catalogue import ModuleCase, lengths
from tests.modules.packing import Packed
from tests.modules.stock import export_stock
from zoo.timing import Ratio, interleave

Arguments = Callable[[int, int], tuple[Any, ...]]
EXAMPLE = (3, 7)
"""Batch and steps of the example."""
OTHER = (4, 9)
"""A shape at which declared sizes of outputs are checked."""
ROUNDS = 3
SHORT = 60
"""Most characters of a reason in the table."""


@dataclass(frozen=True)
class Stock:
    """What ``torch.onnx.export`` did with a module."""

    verdict: str
    """``right``; ``right, declares it fixed``: the numbers are right, and the declared shape of an output is not;
    ``frozen``: right at the example's sizes alone; ``wrong``; ``fails``: no file."""
    reason: str
    """Why it is not right."""
    hint: Any
    """The hint with which there is a file; None where there is none."""


@dataclass(frozen=True)
class Ours:
    """What `zoo.export_module` did with a module."""

    verdict: str
    reason: str
    worst: float
    """Largest error over its budget."""
    nodes: int
    export: float
    """Seconds of the export."""
    proof: float
    """Seconds of the proof."""


def packed(case: ModuleCase) -> tuple[nn.Module, Arguments]:
    """Return a module whose recurrent layers read packed sequences, and its arguments."""
    return Packed(case.made()).eval(), lambda batch, steps: (lengths(batch, steps), *case.args(batch, steps))


def judge_stock(net: nn.Module, args: Arguments, path: Path) -> Stock:
    """Export a module by torch.onnx and judge the file at sizes that were not traced."""
    hint, path = None, path.with_suffix(".stock.onnx")
    for attempt in (Dim.DYNAMIC, Dim.AUTO):
        try:
            export_stock(net, args, path, attempt)
        except Exception as error:  # torch's, of many classes
            reason = cause(error)
        else:
            hint = attempt
            break
    if hint is None:
        return Stock("fails", reason, None)
    proof = zoo.prove_module(net, path, args(*EXAMPLE), providers=("cpu",))
    if proof.verdict == "passed":
        fixed = declared_fixed(net, args, path)
        return Stock("right, declares it fixed" if fixed else "right", fixed, hint)
    return Stock("frozen" if _agrees(net, args, path) else "wrong", "; ".join(proof.reasons), hint)


def _agrees(net: nn.Module, args: Arguments, path: Path) -> bool:
    """Return whether a file agrees with its module at the example's sizes."""
    try:
        return worst_error(net, path, args(*EXAMPLE)) <= ROUNDINGS
    except Exception:  # ONNX Runtime's, which has a class for each code
        return False


def declared_fixed(net: nn.Module, args: Arguments, path: Path) -> str:
    """Return where a file declares a fixed size of an output that the module gives another; empty if nowhere."""
    with torch.no_grad():
        results = net(*args(*OTHER))
    tensors = [value for value in torch.utils._pytree.tree_leaves(results) if isinstance(value, torch.Tensor)]
    for value, result in zip(onnx.load(path).graph.output, tensors, strict=True):
        for axis, (size, actual) in enumerate(zip(value.type.tensor_type.shape.dim, result.shape, strict=True)):
            if size.dim_value and size.dim_value != actual:
                return f"axis {axis} of {value.name} declared as {size.dim_value}"
    return ""


def judge_ours(net: nn.Module, args: Arguments, path: Path) -> Ours:
    """Export a module with its proof."""
    began = time.perf_counter()
    try:
        proof = zoo.export_module(net, args(*EXAMPLE), path, providers=("cpu",))
    except zoo.ZooError as error:
        return Ours("refused", str(error), float("nan"), 0, time.perf_counter() - began, 0.0)
    both = time.perf_counter() - began
    worst = max(output["over_budget"] for result in proof.report["providers"] for output in result["outputs"])
    began = time.perf_counter()
    export(net, args(*EXAMPLE), path.with_suffix(".again.onnx"))
    alone = time.perf_counter() - began
    return Ours(proof.verdict, "; ".join(proof.reasons), worst, nodes(proof.path), alone, max(both - alone, 0.0))


def nodes(path: Path) -> int:
    """Return the number of nodes of a file, those of loops' bodies included."""

    def count(graph: onnx.GraphProto) -> int:
        inner = [item.g for node in graph.node for item in node.attribute if item.type == onnx.AttributeProto.GRAPH]
        return len(graph.node) + sum(map(count, inner))

    model = onnx.load(path)
    return count(model.graph) + sum(len(function.node) for function in model.functions)


def export_times(net: nn.Module, args: Arguments, path: Path, hint: Any) -> tuple[list[float], list[float]]:
    """Return the seconds of our export and of torch's, in turn."""
    taken = interleave(
        {
            "ours": lambda: export(net, args(*EXAMPLE), path.with_suffix(".timed.onnx")),
            "stock": lambda: export_stock(net, args, path.with_suffix(".timed.stock.onnx"), hint),
        },
        ROUNDS,
        warmup=1,
    )
    return taken["ours"], taken["stock"]


def ratio(times: tuple[list[float], list[float]]) -> Ratio:
    """Return the ratio of our export's time to torch's."""
    return Ratio.of(*times)


def cause(error: BaseException) -> str:
    """Return the first error of a chain, in one short line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
