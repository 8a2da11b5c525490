"""Placement of nodes on the page: boxes in the order of the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from zoo.exporting.exporter import GraphSummary
from zoo.report.proofs import Proof, number

MOST = 14
"""Boxes of one part of the graph at most; above that, nodes with the same operator and provider share a box."""
LOOPS = ("Scan", "Loop", "If")
GONE = ""
"""Provider of a node that ONNX Runtime folded into a constant or fused with other nodes."""


@dataclass(frozen=True)
class Box:
    """Node of the graph, or several nodes with the same operator and provider."""

    operator: str
    name: str
    provider: str
    """Name without ``ExecutionProvider``, or `GONE`."""
    note: str = ""
    count: int = 1
    body: Sequence[Box] = ()


@dataclass(frozen=True)
class Part:
    """Consecutive boxes whose names share the first component."""

    name: str
    boxes: Sequence[Box]


@dataclass(frozen=True)
class Drawing:
    """Graph with the provider of each node."""

    modes: Sequence[str]
    """Modes that placed the nodes in this way."""
    parts: Sequence[Part]
    counts: Mapping[str, int]
    """Number of nodes by provider, including the bodies of loops."""
    observations: Sequence[str]
    """Further observations, a sentence for each mode."""


def drawings(proof: Proof, summary: GraphSummary | None) -> list[Drawing]:
    """Return a drawing for each distinct placement of the nodes.

    Args:
        proof: the proof, whose report contains the placement in each mode.
        summary: contents of the file; None if the file cannot be read, and then only nodes that ran are drawn.
    """
    placements: dict[tuple[tuple[str, str, str], ...], list[Mapping[str, Any]]] = {}
    for result in proof.report["providers"]:
        placed = tuple(
            (node["name"], node["operator"], _short(node["provider"])) for node in result.get("placement", ())
        )
        if placed:
            placements.setdefault(placed, []).append(result)
    return [_draw(results, placed, summary) for placed, results in placements.items()]


def _short(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider")


def _observations(result: Mapping[str, Any]) -> list[str]:
    """Return the observations of `zoo.proof.observed` in one mode as a sentence, or nothing where there are none."""
    observations = []
    if (repeats := result.get("repeats")) is not None:
        apart = f"outputs that differ by up to {number(repeats['largest_difference'])}"
        gave = "identical outputs" if repeats["identical"] else apart
        observations.append(f"{repeats['runs']} runs of one input gave {gave}")
    if (copies := result.get("memcpy")) is not None:
        counts = ", ".join(f"{count['nodes']} for {count['steps']} steps" for count in copies)
        observations.append(f"copies between devices: {counts}")
    if "against_cpu" in result:
        observations.append(f"largest difference from the CPU provider: {result['against_cpu']:.2f} of the budget")
    if (tf32 := result.get("tf32")) is not None:
        observations.append(f"TF32 {'' if tf32['seen'] else 'not '}detected in the outputs")
    return [f"{result['name']}: {'; '.join(observations)}."] if observations else []


def _draw(
    results: Sequence[Mapping[str, Any]], placed: Iterable[tuple[str, str, str]], summary: GraphSummary | None
) -> Drawing:
    ran = [Box(operator, name, provider) for name, operator, provider in placed]
    nodes = [(box.name, box.operator, "") for box in ran] if summary is None else summary.nodes
    names = {name for name, _, _ in nodes}
    loops = [name for name, operator, _ in nodes if operator in LOOPS]
    bodies: dict[str, list[Box]] = {name: [] for name in loops}
    added: list[Box] = []
    for box in ran:
        if box.name in names:
            continue
        loop = max((name for name in loops if box.name.startswith(f"{name}/")), key=len, default=None)
        (added if loop is None else bodies[loop]).append(box)
    providers = {box.name: box.provider for box in ran}
    boxes = [
        Box(operator, name, providers.get(name, GONE), note, body=merged(bodies.get(name, ())))
        for name, operator, note in nodes
    ]
    parts = [_part(name, list(group)) for name, group in groupby(boxes, lambda box: box.name.partition("/")[0])]
    if added:
        parts.append(_part("added by ONNX Runtime", added))
    counts = Counter([*(box.provider for box in ran), *(GONE for box in boxes if box.provider == GONE)])
    observations = [line for result in results for line in _observations(result)]
    return Drawing([result["name"] for result in results], parts, counts, observations)


def _part(name: str, boxes: Sequence[Box]) -> Part:
    return Part(name, boxes if len(boxes) <= MOST else merged(boxes))


def merged(boxes: Sequence[Box]) -> list[Box]:
    """Merge nodes with the same operator and provider into one box, at the position of the first; loops stay single."""
    merged_boxes: dict[Any, Box] = {}
    for box in boxes:
        key = box.name if box.operator in LOOPS else (box.operator, box.provider)
        first = merged_boxes.get(key)
        merged_boxes[key] = box if first is None else replace(first, name="", note="", count=first.count + 1)
    return list(merged_boxes.values())
