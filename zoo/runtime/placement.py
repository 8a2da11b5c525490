"""Placement of the recurrent part of a graph: recurrent operators, and every node in the body of a loop.

ONNX Runtime's record of placement lists the nodes of bodies among all others, by name and without the enclosing loop
(observed with 1.31.1). So this module reads the bodies from the file's bytes. It needs neither torch nor onnx.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from zoo.runtime.protobuf import fields
from zoo.runtime.providers import PROVIDERS, PlacedNode

if TYPE_CHECKING:
    from zoo.exporting.exporter import PredictedNode

RECURRENT = frozenset({"RNN", "LSTM", "GRU", "DynamicQuantizeLSTM", "Scan", "Loop"})
"""Operators with a loop over the steps."""
_GRAPH, _NODE, _NAME, _OPERATOR, _ATTRIBUTE, _BODY = 7, 1, 3, 4, 5, 6
"""Field numbers (onnx.proto): of ModelProto, GraphProto, NodeProto (three) and AttributeProto."""
NAMED = 3
"""Number of nodes that a reason lists by name; it counts the others."""


class FileNode(NamedTuple):
    """Node of a graph in a file."""

    name: str
    operator: str
    in_body: bool
    """Whether the node is in the body of a loop or branch."""


def nodes_of(content: bytes) -> Iterator[FileNode]:
    """Yield every node of an ONNX file, including the nodes of bodies."""
    pending = [(graph, False) for graph in _parts(memoryview(content), _GRAPH)]
    while pending:
        graph, in_body = pending.pop()
        for node in _parts(graph, _NODE):
            name, operator = (b"".join(map(bytes, _parts(node, number))).decode() for number in (_NAME, _OPERATOR))
            yield FileNode(name, operator, in_body)
            pending += [(body, True) for attribute in _parts(node, _ATTRIBUTE) for body in _parts(attribute, _BODY)]


def _parts(message: memoryview, number: int) -> list[memoryview]:
    values = (field.value for field in fields(message) if field.number == number)
    return [value for value in values if isinstance(value, memoryview)]


def recurrent_nodes(content: bytes, placed: Sequence[PlacedNode]) -> list[PlacedNode]:
    """Return the placed nodes that are recurrent operators or stem from a node in a body."""
    inside = {node.name for node in nodes_of(content) if node.in_body and node.name}
    merged = tuple(f"{name}/" for name in inside)  # ONNX Runtime's names for merged nodes
    return [
        node for node in placed if node.operator in RECURRENT or node.name in inside or node.name.startswith(merged)
    ]


def placement_summary(content: bytes, placed: Sequence[PlacedNode], provider: str) -> dict[str, Any]:
    """Return the report's entries on the placement of recurrent nodes.

    Args:
        content: the bytes of the file.
        placed: ONNX Runtime's record of placement.
        provider: the requested provider, a key of `PROVIDERS`.

    Returns:
        ``recurrent``: number of recurrent nodes by ONNX Runtime's name of the provider; ``elsewhere``: names of the
        recurrent nodes that are on another provider than the requested one, or in no record.
    """
    nodes = recurrent_nodes(content, placed)
    misplaced = [f"{node.name} ({node.operator})" for node in nodes if node.provider != PROVIDERS[provider]]
    names = {node.name for node in placed}
    unplaced = [node.name for node in nodes_of(content) if node.operator in RECURRENT and node.name not in names]
    return {
        "recurrent": dict(Counter(node.provider for node in nodes)),
        "elsewhere": [*misplaced, *unplaced],
    }


def placement_fault(result: Mapping[str, Any]) -> str | None:
    """Return why the result of a provider was computed partly on another one; None if it was not, or nothing ran."""
    elsewhere: list[str] = result.get("elsewhere", [])
    if elsewhere:
        more = f" and {len(elsewhere) - NAMED} more" if elsewhere[NAMED:] else ""
        others = [name for name in result["recurrent"] if name != PROVIDERS[result["provider"]]]
        where = " and ".join(name.removesuffix("ExecutionProvider") for name in others) or "no recorded provider"
        return (
            f"not on {result['provider']} but on {where}: {', '.join(elsewhere[:NAMED])}{more}; "
            f"export with --lowering scan --target {result['provider']}; 'zoo inspect --placement' shows the reason"
        )
    copies: list[dict[str, int]] = result.get("memcpy", [])
    if copies and copies[-1]["nodes"] > copies[0]["nodes"]:
        first, last = copies[0], copies[-1]
        return (
            f"memory is copied between devices {first['nodes']} times at {first['steps']} steps and {last['nodes']} "
            f"times at {last['steps']}; a node in a loop is not on {result['provider']}: see 'zoo inspect --placement'"
        )
    return None


def require_placement(report: dict[str, Any], requested: Sequence[str]) -> None:
    """Mark a report as failed if recurrent nodes ran on another provider than requested, or copies grow with time.

    The report is changed in place. Providers that were only tried, because the user named none, do not fail it.

    Args:
        report: report of a proof.
        requested: names of the providers that the user requested, keys of `PROVIDERS`.
    """
    for result in report["providers"]:
        if result["provider"] in requested and result["status"] in ("passed", "ill-conditioned", "inconclusive"):
            reason = placement_fault(result)
            if reason is not None:
                result.update(status="failed", reason=reason)
                report["verdict"] = "failed"
                report["reasons"].append(f"{result['name']}: {reason}")


def add_unpredicted(report: dict[str, Any], predicted: Sequence[PredictedNode]) -> None:
    """Add ``unpredicted`` to each provider of a report except the CPU: nodes that ran elsewhere than predicted.

    Nodes that ONNX Runtime merged or dropped have no prediction and are left out. The report is changed in place.

    Args:
        report: report of a proof.
        predicted: the exporter's prediction for the nodes of the file.
    """
    predictions = {node.name: node.provider for node in predicted}
    for result in report["providers"]:
        if result["provider"] != "cpu" and result.get("placement"):
            result["unpredicted"] = [
                {**node, "predicted": predictions[node["name"]]}
                for node in result["placement"]
                if node["name"] in predictions and PROVIDERS.get(predictions[node["name"]]) != node["provider"]
            ]
