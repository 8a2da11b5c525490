"""Right files as another version of a library, or another program, would write them: other names, another order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto

from tests.proof.mutants.graph import Graph


def written_otherwise(graph: Graph) -> None:
    """Rename every inner value and node, and put nodes, weights and declared types into another order.

    The names of inputs and outputs stay, since programs read them.
    """
    main = graph.graph
    kept = {value.name for value in (*main.input, *main.output)}
    names = {name: name for name in ("", *kept)}
    generator = np.random.default_rng(0)
    _rename(main, names)
    for inner in _graphs(main):
        _shuffle(inner, generator)


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """Yield a graph and the bodies of its nodes."""
    yield graph
    for node in graph.node:
        for body in _bodies(node):
            yield from _graphs(body)


def _bodies(node: NodeProto) -> Iterator[GraphProto]:
    return (attribute.g for attribute in node.attribute if attribute.type == AttributeProto.GRAPH)


def _rename(graph: GraphProto, names: dict[str, str]) -> None:
    """Rename the values and nodes of a graph and of its bodies; ``names`` has the new names so far."""

    def new(name: str) -> str:
        return names.setdefault(name, f"value_{len(names)}")

    for value in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        value.name = new(value.name)
    for number, node in enumerate(graph.node):
        node.name = f"node_{number}"
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
        for body in _bodies(node):
            _rename(body, names)


def _shuffle(graph: GraphProto, generator: np.random.Generator) -> None:
    """Put the nodes into another order in which each follows those that it reads, and reverse weights and types."""
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    waits = [{makers[name] for name in _reads(node) if name in makers} for node in graph.node]
    nodes, done = list(graph.node), list[int]()
    while len(done) < len(nodes):
        ready = [index for index in range(len(nodes)) if index not in done and waits[index] <= set(done)]
        done.append(int(generator.choice(ready)))
    del graph.node[:]
    graph.node.extend(nodes[index] for index in done)
    for field in (graph.initializer, graph.value_info):
        reverse = list(field)[::-1]
        del field[:]
        field.extend(reverse)


def _reads(node: NodeProto) -> Iterator[str]:
    """Yield what a node and its bodies read."""
    yield from node.input
    for body in _bodies(node):
        for inner in body.node:
            yield from _reads(inner)
