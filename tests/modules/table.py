"""Each module through ``torch.onnx.export`` and through `zoo.export_module`: verdicts, sizes and times."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn
from torch.export import Dim
from torch.utils import _pytree as pytree

import zoo
from tests.exporters.modules import ROUNDINGS, SHAPES, export, worst_error
from tests.modules.catalogue import CASES, ModuleCase, lengths
from tests.modules.packing import Packed
from tests.modules.stock import export_stock
from tests.modules.wrong import WRONG, WrongFile

Arguments = Callable[[int, int], tuple[Any, ...]]
EXAMPLE = (3, 7)
"""Batch and steps of the example."""
OTHER = (4, 9)
"""A shape at which declared sizes of outputs are checked."""
HINTS = {"DYNAMIC": Dim.DYNAMIC, "AUTO": Dim.AUTO}


@dataclass(frozen=True)
class Stock:
    """What ``torch.onnx.export`` did with a module."""

    verdict: str
    """``right``; ``right, shape wrong``: the numbers are right, and the declared shape of an output is not;
    ``frozen``: right at the example's sizes alone; ``wrong``; ``fails``: no file."""
    reason: str = ""
    """Why it is not right."""
    hint: str = ""
    """Key of the hint in `HINTS` with which there is a file; empty where there is none."""
    seconds: float = 0.0
    """CPU seconds of the export."""


@dataclass(frozen=True)
class Ours:
    """What `zoo.export_module` did with a module."""

    verdict: str
    reason: str = ""
    worst: float = 0.0
    """Largest error over its budget."""
    nodes: int = 0
    seconds: float = 0.0
    """CPU seconds of a second export, without its proof."""
    proof: float = 0.0
    """CPU seconds of the proof."""


def row(name: str, folder: Path) -> dict[str, Any]:
    """Measure a module of the catalogue, in a dictionary for JSON."""
    case, path = CASES[name], folder / f"{name}.onnx"
    net = case.made()
    result: dict[str, Any] = {"title": case.title}
    result["ours"] = asdict(judge_ours(net, case.args, path))
    result["stock"] = asdict(judge_stock(net, case.args, folder / f"{name}.stock.onnx"))
    if case.repacked:
        variant, args = packed(case)
        result["packed"] = "agrees" if agrees_packed(variant, args, folder / f"{name}.packed.onnx") else "wrong"
        result["stock_packed"] = asdict(judge_stock(variant, args, folder / f"{name}.packed.stock.onnx"))
    return result


def packed(case: ModuleCase) -> tuple[nn.Module, Arguments]:
    """Return a module whose recurrent layers read packed sequences, and its arguments."""
    return Packed(case.made()).eval(), lambda batch, steps: (lengths(batch, steps), *case.args(batch, steps))


def judge_stock(net: nn.Module, args: Arguments, path: Path) -> Stock:
    """Export a module by torch.onnx and judge the file at sizes that were not traced."""
    hint, reason, seconds = "", "", 0.0
    for name, attempt in HINTS.items():
        began = time.process_time()
        try:
            export_stock(net, args, path, attempt)
        except Exception as error:  # torch's, of many classes
            reason = cause(error)
        else:
            hint, seconds = name, time.process_time() - began
            break
    if not hint:
        return Stock("fails", reason)
    disagreements = [text for shape in SHAPES if (text := disagreement(net, args, path, shape))]
    if disagreements:
        verdict = "wrong" if disagreement(net, args, path, EXAMPLE) else "frozen"
        return Stock(verdict, disagreements[0], hint, seconds)
    proof = zoo.prove_module(net, path, args(*EXAMPLE), providers=("cpu",))
    if proof.verdict != "passed":
        return Stock(proof.verdict, "; ".join(proof.reasons), hint, seconds)
    fixed = declared_wrongly(net, args, path)
    return Stock("right, shape wrong" if fixed else "right", fixed, hint, seconds)


def disagreement(net: nn.Module, args: Arguments, path: Path, shape: tuple[int, int]) -> str:
    """Return how a file disagrees with its module at one shape; empty where it agrees."""
    try:
        error = worst_error(net, path, args(*shape))
    except Exception as failure:  # ONNX Runtime's, which has a class for each code, or another shape of an output
        return f"at {shape}: {cause(failure)}"
    return "" if error <= ROUNDINGS else f"at {shape}: error of {error:.3g} roundings"


def agrees_packed(net: nn.Module, args: Arguments, path: Path) -> bool:
    """Return whether our file of a module over packed sequences agrees at shapes that were not traced."""
    export(net, args(*EXAMPLE), path)
    return not any(disagreement(net, args, path, shape) for shape in SHAPES)


def declared_wrongly(net: nn.Module, args: Arguments, path: Path) -> str:
    """Return where a file declares another shape of an output than the module gives; empty if nowhere."""
    with torch.no_grad():
        results = [value for value in pytree.tree_leaves(net(*args(*OTHER))) if isinstance(value, torch.Tensor)]
    for value, result in zip(onnx.load(path).graph.output, results, strict=True):
        declared = value.type.tensor_type.shape.dim
        if len(declared) != result.dim():
            return f"{value.name} is declared with {len(declared)} axes and has {result.dim()}"
        for axis, (size, actual) in enumerate(zip(declared, result.shape, strict=True)):
            if size.dim_value and size.dim_value != actual:
                return f"axis {axis} of {value.name} is declared as {size.dim_value}"
    return ""


def judge_ours(net: nn.Module, args: Arguments, path: Path) -> Ours:
    """Export a module with its proof, then again without."""
    began = time.process_time()
    try:
        proof = zoo.export_module(net, args(*EXAMPLE), path, providers=("cpu",))
    except zoo.ZooError as error:
        return Ours("refused", str(error))
    both = time.process_time() - began
    began = time.process_time()
    export(net, args(*EXAMPLE), path.with_suffix(".again.onnx"))
    alone = time.process_time() - began
    return Ours(proof.verdict, "; ".join(proof.reasons), worst(proof), nodes(proof.path), alone, both - alone)


def worst(proof: zoo.Proof) -> float:
    """Return the largest error of a proof over its budget."""
    return max(
        (output["over_budget"] for result in proof.report["providers"] for output in result["outputs"]), default=0.0
    )


def judge_wrong(wrong: WrongFile, path: Path) -> zoo.Proof:
    """Write a wrong file and prove it against its module."""
    torch.manual_seed(1)
    wrong.write(wrong.case, path)
    return zoo.prove_module(wrong.case.made(), path, wrong.case.args(*EXAMPLE), providers=("cpu",))


def wrong_row(name: str, folder: Path) -> dict[str, Any]:
    """Measure a wrong file, in a dictionary for JSON."""
    proof = judge_wrong(WRONG[name], folder / f"{name}.onnx")
    return {"title": WRONG[name].title, "verdict": proof.verdict, "reason": "; ".join(proof.reasons)}


def nodes(path: Path) -> int:
    """Return the number of nodes of a file, those of loops' bodies included."""

    def count(graph: onnx.GraphProto) -> int:
        inner = [item.g for node in graph.node for item in node.attribute if item.type == onnx.AttributeProto.GRAPH]
        return len(graph.node) + sum(map(count, inner))

    return count(onnx.load(path).graph)


def cause(error: BaseException) -> str:
    """Return the first error of a chain, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def markdown(rows: Mapping[str, Mapping[str, Any]], wrong: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the two tables."""
    lines = [
        "| module | torch.onnx | its layers packed, torch.onnx | ours | error / budget | packed, ours | nodes "
        "| export, ours / torch.onnx | proof |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for item in rows.values():
        ours, stock = item["ours"], item["stock"]
        seconds = f"{stock['seconds']:.1f} s" if stock["hint"] else "none"
        lines.append(
            f"| {item['title']} | {stock['verdict']} | {item.get('stock_packed', {}).get('verdict', '')} "
            f"| {ours['verdict']} | {ours['worst']:.2f} | {item.get('packed', '')} | {ours['nodes']} "
            f"| {ours['seconds']:.1f} / {seconds} | {ours['proof']:.0f} s |"
        )
    lines += ["", "| wrong file | verdict | reason |", "|---|---|---|"]
    lines += [f"| {item['title']} | {item['verdict']} | {item['reason']} |" for item in wrong.values()]
    return "\n".join(lines)
