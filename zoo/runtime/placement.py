"""Whether what recurs ran where it was asked to: recurrent nodes, and every node in the body of a loop.

ONNX Runtime's record of placement lists nodes in bodies beside all others, by their names and without the loop that
they are in (seen with 1.31.1). So the file tells which they are, from its bytes alone: no torch and no onnx is needed.
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
_GRAPH, _NODE, _NAME, _OPERATOR, _ATTRIBUTE, _BODY = 7, 1, 3, 4, 5, 6
"""Numbers of fields, of which part of a file each (onnx.proto)."""
NAMED = 3
"""As many nodes are named in a reason; the others are counted."""


class FileNode(NamedTuple):
    """A node as it stands in a file."""

    name: str
    operator: str
    in_body: bool
    """Whether it is in the body of a loop or a branch."""


def nodes_of(content: bytes) -> Iterator[FileNode]:
    """Every node of an ONNX file, those in bodies included."""
    waiting = [(graph, False) for graph in _parts(memoryview(content), _GRAPH)]
    while waiting:
        graph, in_body = waiting.pop()
        for node in _parts(graph, _NODE):
            name, operator = (b"".join(map(bytes, _parts(node, number))).decode() for number in (_NAME, _OPERATOR))
            yield FileNode(name, operator, in_body)
            waiting += [(body, True) for one in _parts(node, _ATTRIBUTE) for body in _parts(one, _BODY)]


def _parts(message: memoryview, number: int) -> list[memoryview]:
    return [one.value for one in fields(message) if one.number == number and isinstance(one.value, memoryview)]


def recurrent_nodes(content: bytes, placed: Sequence[PlacedNode]) -> list[PlacedNode]:
    """Those of the nodes that were placed which run once a step, or once for all steps."""
    inside = {node.name for node in nodes_of(content) if node.in_body and node.name}
    made_of = tuple(f"{name}/" for name in inside)  # how ONNX Runtime names what it merges nodes into
    return [one for one in placed if one.operator in RECURRENT or one.name in inside or one.name.startswith(made_of)]


def unplaced_nodes(content: bytes, placed: Sequence[PlacedNode]) -> list[str]:
    """The names of recurrent nodes of a file that ONNX Runtime placed nowhere."""
    seen = {one.name for one in placed}
    return [node.name for node in nodes_of(content) if node.operator in RECURRENT and node.name not in seen]


def placement_summary(content: bytes, placed: Sequence[PlacedNode], provider: str) -> dict[str, Any]:
    """What a report says of it.

    Args:
        content: the file.
        placed: where its nodes were placed.
        provider: a key of `PROVIDERS`.

    Returns:
        ``recurrent``: how many recurrent nodes each provider has; ``elsewhere``: the names of those that another
        provider has than the one that was meant, or none.
    """
    found = recurrent_nodes(content, placed)
    wrong = [f"{one.name} ({one.operator})" for one in found if one.provider != PROVIDERS[provider]]
    return {
        "recurrent": dict(Counter(one.provider for one in found)),
        "elsewhere": [*wrong, *unplaced_nodes(content, placed)],
    }


def placement_fault(result: Mapping[str, Any]) -> str | None:
    """Why one provider's result does not hold for that provider; None where it does, or nothing ran."""
    elsewhere: list[str] = result.get("elsewhere", [])
    if elsewhere:
        more = f" and {len(elsewhere) - NAMED} more" if elsewhere[NAMED:] else ""
        others = [name for name in result["recurrent"] if name != PROVIDERS[result["provider"]]]
        where = " and ".join(name.removesuffix("ExecutionProvider") for name in others) or "no provider that was seen"
        return (
            f"not on {result['provider']} but on {where}: {', '.join(elsewhere[:NAMED])}{more}; "
            f"export with --lowering scan --target {result['provider']}; 'zoo inspect --placement' tells the reason"
        )
    copies: list[dict[str, int]] = result.get("memcpy", [])
    if copies and copies[-1]["nodes"] > copies[0]["nodes"]:
        first, last = copies[0], copies[-1]
        return (
            f"memory is copied between devices {first['nodes']} times at {first['steps']} steps and {last['nodes']} "
            f"times at {last['steps']}; a node in a loop is not on {result['provider']}: see 'zoo inspect --placement'"
        )
    return None


def require_placement(report: dict[str, Any], asked: Sequence[str]) -> None:
    """Let a report fail where a provider was asked for and recurrent nodes ran elsewhere, or copies grow with time.

    A provider that nobody named, since all of them are tried then, is reported as it is.
    """
    for result in report["providers"]:
        if result["provider"] in asked and result["status"] in ("passed", "ill-conditioned", "inconclusive"):
            reason = placement_fault(result)
            if reason is not None:
                result.update(status="failed", reason=reason)
                report["verdict"] = "failed"
                report["reasons"].append(f"{result['name']}: {reason}")


def add_unpredicted(report: dict[str, Any], predicted: Sequence[PredictedNode]) -> None:
    """Put beside each provider but the CPU the nodes that ran elsewhere than the exporter predicted.

    What ONNX Runtime merged or dropped has no prediction, and is left out.
    """
    known = {one.name: one for one in predicted}
    for result in report["providers"]:
        if result["provider"] != "cpu" and result.get("placement"):
            result["unpredicted"] = [
                {**node, "predicted": known[node["name"]].provider}
                for node in result["placement"]
                if node["name"] in known and PROVIDERS.get(known[node["name"]].provider) != node["provider"]
            ]
