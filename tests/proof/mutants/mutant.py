"""A deliberate fault, and what it takes to reach into a graph for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from onnx import NodeProto, helper

from tests.proof.mutants.graph import Graph

Mutation = Callable[[Graph], None]

NAN = "NaN or infinity where the exact result has a number"
"""The hard gate that finds who reads the padding."""


@dataclass(frozen=True)
class Mutant:
    """A fault, and the file it is put into."""

    fault: str
    subject: str
    """A key of `tests.proof.mutants.subjects.SUBJECTS`."""
    mutate: Mutation
    refusal: str = ""
    """What a hard gate, or ONNX Runtime, says of it; empty where the error over its budget tells."""
    keeps_seal: bool = False
    """Whether the file's hash is left as it was; otherwise it is renewed, so that the numbers have to tell."""
    why: str = ""
    """Of one that is no fault: why it computes the same."""


def body(graph: Graph, scan: str) -> Graph:
    """The body of a Scan, to alter as the graph around it."""
    inside = Graph(graph.model)
    inside.graph = next(attribute.g for attribute in graph.node(scan).attribute if attribute.name == "body")
    return inside


def of_type(graph: Graph, operator: str) -> list[NodeProto]:
    """Nodes in their order."""
    return [node for node in graph.graph.node if node.op_type == operator]


def gemm(inside: Graph, gate: int) -> NodeProto:
    """The recurrent product of a gate in a body that has one for each."""
    found: NodeProto
    (found,) = [node for node in of_type(inside, "Gemm") if node.input[1].endswith(f"h2h.weight/{gate}")]
    return found


def reroute(node: NodeProto, old: str, new: str) -> None:
    """Let a node read another value."""
    places = [place for place, name in enumerate(node.input) if name == old]
    assert places, f"{node.name} does not read {old}"
    for place in places:
        node.input[place] = new


def become_identity(node: NodeProto, source: str) -> None:
    """Let a node hand on a value instead of what it computed."""
    node.CopyFrom(helper.make_node("Identity", [source], node.output, node.name))
