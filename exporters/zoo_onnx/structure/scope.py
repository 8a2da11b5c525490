"""Scope: the values of a graph by name, each an input, a weight or a node's output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, OperatorSetIdProto, ValueInfoProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from zoo_onnx.structure.graphs import between, body_of


class Scope:
    """The values of a graph by name, each a constant or a node's output.

    Args:
        graph: the graph, or the body of a loop.
        opsets: versions of the operators.
        outer: the scope that contains a body; None for a main graph.
    """

    def __init__(self, graph: GraphProto, opsets: Sequence[OperatorSetIdProto], outer: Scope | None = None) -> None:
        self.graph, self.opsets = graph, opsets
        self.nodes = {node.name: node for node in graph.node}
        self.outer = outer
        self._constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self._made = {name: (node.name, index) for node in graph.node for index, name in enumerate(node.output)}
        self._inputs = {value.name for value in graph.input}
        self._weights = {tensor.name for tensor in graph.initializer}
        self.outputs = {value.name for value in graph.output}

    def constant(self, name: str) -> NDArray[Any] | None:
        """Return the array of a weight, or of a value that depends on weights alone; None for any other value."""
        if name not in self._constants and name in self._made and self.is_constant(self.nodes[self._made[name][0]]):
            piece = helper.make_graph(between(self.graph, name, ()), "constant", [], [ValueInfoProto(name=name)])
            piece.initializer.extend(self.graph.initializer)
            model = helper.make_model(piece, opset_imports=self.opsets)
            made: Any = ReferenceEvaluator(model).run(None, {})
            self._constants[name] = made[0]
        if name in self._constants:
            return self._constants[name]
        return None if self.outer is None or name in self._made else self.outer.constant(name)

    def is_constant(self, node: NodeProto) -> bool:
        """Return whether a node of the main graph depends on weights alone."""
        return (
            self.outer is None
            and body_of(node) is None
            and all(self._from_weights(name) for name in node.input if name)
        )

    def _from_weights(self, name: str) -> bool:
        return name in self._constants or (name in self._made and self.is_constant(self.nodes[self._made[name][0]]))

    def origin(self, name: str) -> str:
        """Return the origin of a value: the node and output, an input or a weight; independent of names of values."""
        if name in self._made:
            node, index = self._made[name]
            return f"{node}, output {index}" if index else node
        if name in self._inputs:
            return name
        return name if self.outer is None else self.outer.origin(name)

    def kind(self, name: str) -> Literal["node", "input", "weight", "missing"]:
        """Return what gives a value; ``missing`` if nothing does."""
        if name in self._made:
            return "node"
        if name in self._inputs:
            return "input"
        if name in self._weights:
            return "weight"
        return "missing" if self.outer is None else self.outer.kind(name)
