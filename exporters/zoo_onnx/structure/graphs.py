"""Walks over a graph: what a node reads, its body, and the nodes between values."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from onnx import AttributeProto, GraphProto, NodeProto


def reads(node: NodeProto) -> Iterator[str]:
    """Yield every value that a node reads, including those that its body reads from the outer graph."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield from _outer(attribute.g)


def _outer(body: GraphProto) -> Iterator[str]:
    """Yield the values of the outer graph that a body reads."""
    own = {value.name for value in body.input} | {value.name for value in body.initializer}
    own |= {name for node in body.node for name in node.output}
    yield from (name for node in body.node for name in reads(node) if name not in own)


def between(graph: GraphProto, bad: str, good: Collection[str]) -> list[NodeProto]:
    """Return the nodes that a value depends on, in execution order, up to correct values."""
    makers = {name: node for node in graph.node for name in node.output if name}
    needed, waiting = set[str](), [bad]
    while waiting:
        name = waiting.pop()
        if name in needed or name not in makers or name in good:
            continue
        needed.add(name)
        waiting.extend(reads(makers[name]))
    return [node for node in graph.node if needed.intersection(node.output)]


def attribute_of(node: NodeProto, name: str) -> AttributeProto:
    """Return an attribute of a node; an empty one, with values of 0, if the node lacks it."""
    return next((attribute for attribute in node.attribute if attribute.name == name), AttributeProto())


def body_of(node: NodeProto) -> GraphProto | None:
    """Return the body of a Scan, or None for any other node."""
    return attribute_of(node, "body").g if node.op_type == "Scan" else None
