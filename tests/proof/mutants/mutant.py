"""A deliberate fault, and helpers that alter a graph."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from onnx import NodeProto, helper

from tests.proof.mutants.graph import Graph

Mutation = Callable[[Graph], None]
Fault = Callable[[], AbstractContextManager[Any]]
"""Function that returns a context in which the exporter has a fault."""

NAN = "NaN or infinity where the exact result has a number"
"""Reason of the hard gate that fails where an output depends on the padding."""


@dataclass(frozen=True)
class Mutant:
    """A fault, and the file into which it is inserted."""

    fault: str
    subject: str
    """A key of `tests.proof.mutants.subjects.SUBJECTS`."""
    mutate: Mutation
    refusal: str = ""
    """Part of the reason of a hard gate or of ONNX Runtime; empty where the error exceeds its budget instead."""
    keeps_seal: bool = False
    """Whether the file keeps the old seal; otherwise the seal is renewed, so that only the numbers show the fault."""
    certain: bool = True
    """Whether every proof has inputs that show it, so that the numbers always find it. Others show at drawn shapes, or
    nowhere; the structure finds them."""
    exporter: Fault | None = None
    """A fault of the exporter, which writes the file; a fresh export has it as well, so only the numbers find it."""
    why: str = ""
    """Of an alteration that is no fault: why the file computes the same."""


def do_nothing(_: Graph) -> None:
    """Leave a file as it is."""


def body(graph: Graph, scan: str) -> Graph:
    """Return the body of a Scan as a graph that can be altered."""
    inside = Graph(graph.model)
    inside.graph = next(attribute.g for attribute in graph.node(scan).attribute if attribute.name == "body")
    return inside


def of_type(graph: Graph, operator: str) -> list[NodeProto]:
    """Return the nodes of an operator in their order."""
    return [node for node in graph.graph.node if node.op_type == operator]


def gemm(inside: Graph, gate: int) -> NodeProto:
    """Return the recurrent product of a gate, in a body with one for each gate."""
    (node,) = [node for node in of_type(inside, "Gemm") if node.input[1].endswith(f"h2h.weight/{gate}")]
    return node


def reroute(node: NodeProto, old: str, new: str) -> None:
    """Connect the inputs of a node that read ``old`` to ``new``."""
    places = [place for place, name in enumerate(node.input) if name == old]
    assert places, f"{node.name} does not read {old}"
    for place in places:
        node.input[place] = new


def become_identity(node: NodeProto, source: str) -> None:
    """Replace a node by an Identity of ``source``."""
    node.CopyFrom(helper.make_node("Identity", [source], node.output, node.name))
