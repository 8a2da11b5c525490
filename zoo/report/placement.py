"""Where each node ran, as boxes in the order of the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from zoo.exporting.exporter import GraphSummary
from zoo.report.proofs import Proof, number

MOST = 14
"""Boxes of one part of the graph. Of more, those of one operator on one provider become one."""
LOOPS = ("Scan", "Loop", "If")
GONE = ""
"""The provider of a node that did not run by itself."""


@dataclass(frozen=True)
class Box:
    """One node, or several that are alike."""

    operator: str
    name: str
    provider: str
    """Without ``ExecutionProvider``; `GONE` where ONNX Runtime computed the node beforehand or fused it with others."""
    note: str = ""
    count: int = 1
    body: Sequence[Box] = ()


@dataclass(frozen=True)
class Part:
    """Boxes that follow each other and whose names begin alike."""

    name: str
    boxes: Sequence[Box]


@dataclass(frozen=True)
class Drawing:
    """A graph as it ran."""

    modes: Sequence[str]
    """The ways of running in which it looks like this."""
    parts: Sequence[Part]
    counts: Mapping[str, int]
    """Nodes by provider, bodies included."""
    seen: Sequence[str]
    """What else was seen of it there, in sentences."""


def drawings(proof: Proof, summary: GraphSummary | None) -> list[Drawing]:
    """One for each way in which the nodes were placed.

    Args:
        summary: the file in words; None where nothing can tell what is in it, and then what ran is drawn alone.
    """
    known: dict[tuple[tuple[str, str, str], ...], list[Mapping[str, Any]]] = {}
    for result in proof.report["providers"]:
        placed = tuple((one["name"], one["operator"], _short(one["provider"])) for one in result.get("placement", ()))
        if placed:
            known.setdefault(placed, []).append(result)
    return [_draw(results, placed, summary) for placed, results in known.items()]


def _short(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider")


def _seen(result: Mapping[str, Any]) -> list[str]:
    """What `zoo.proof.observed` saw of a provider."""
    told = []
    if (again := result.get("repeats")) is not None:
        same = "the same bits" if again["identical"] else f"answers up to {number(again['largest_difference'])} apart"
        told.append(f"{again['runs']} runs of one input gave {same}")
    if (copied := result.get("memcpy")) is not None:
        counts = ", ".join(f"{one['nodes']} for {one['steps']} steps" for one in copied)
        told.append(f"copies between devices: {counts}")
    if "against_cpu" in result:
        told.append(f"from the CPU's answers no further than {result['against_cpu']:.2f} of the budget")
    if (fine := result.get("tf32")) is not None:
        told.append(f"TF32 was {'' if fine['seen'] else 'not '}seen in the answers")
    return [f"{result['name']}: {'; '.join(told)}."] if told else []


def _draw(
    results: Sequence[Mapping[str, Any]], placed: Iterable[tuple[str, str, str]], summary: GraphSummary | None
) -> Drawing:
    ran = [Box(operator, name, provider) for name, operator, provider in placed]
    nodes = [(one.name, one.operator, "") for one in ran] if summary is None else summary.nodes
    names = {name for name, _, _ in nodes}
    loops = [name for name, operator, _ in nodes if operator in LOOPS]
    bodies: dict[str, list[Box]] = {name: [] for name in loops}
    added: list[Box] = []
    for box in ran:
        if box.name in names:
            continue
        around = max((name for name in loops if box.name.startswith(f"{name}/")), key=len, default=None)
        (added if around is None else bodies[around]).append(box)
    where = {box.name: box.provider for box in ran}
    boxes = [
        Box(operator, name, where.get(name, GONE), note, body=merged(bodies.get(name, ())))
        for name, operator, note in nodes
    ]
    parts = [_part(name, list(some)) for name, some in groupby(boxes, lambda box: box.name.partition("/")[0])]
    if added:
        parts.append(_part("added by ONNX Runtime", added))
    counts: dict[str, int] = {}
    for provider in [*(box.provider for box in ran), *(GONE for box in boxes if box.provider == GONE)]:
        counts[provider] = counts.get(provider, 0) + 1
    seen = [line for result in results for line in _seen(result)]
    return Drawing([result["name"] for result in results], parts, counts, seen)


def _part(name: str, boxes: Sequence[Box]) -> Part:
    return Part(name, boxes if len(boxes) <= MOST else merged(boxes))


def merged(boxes: Sequence[Box]) -> list[Box]:
    """One box for all of one operator on one provider, where the first of them stood; loops keep their own."""
    found: dict[Any, Box] = {}
    for box in boxes:
        key = box.name if box.operator in LOOPS else (box.operator, box.provider)
        known = found.get(key)
        found[key] = box if known is None else replace(known, name="", note="", count=known.count + 1)
    return list(found.values())
