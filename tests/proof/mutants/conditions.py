"""Conditions that a file computes from the shape of its input, and faults that show only where they hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from onnx import GraphProto, NodeProto, TensorProto, helper

from tests.proof.mutants.graph import Graph
from tests.proof.mutants.mutant import Mutation

BATCH, TIME = 0, 1
"""Axes of the input."""


class Nodes:
    """Nodes to add to a file, each with one output that has the node's name.

    Args:
        graph: the file.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._made = 0
        self._added: list[NodeProto] = []

    def __call__(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return its output."""
        name = self._name()
        self._added.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def constant(self, value: ArrayLike, dtype: type = np.int64) -> str:
        """Add a constant and return its name."""
        name = self._name()
        self.graph.set(name, np.asarray(value, dtype))
        return name

    def size(self, axis: int) -> str:
        """Return the size of an axis of the input, (1,) int64."""
        return self("Shape", "x", start=axis, end=axis + 1)

    def indices(self, axis: int) -> str:
        """Return the indices 0, 1, … along an axis of the input, shaped for the output ``logits``."""
        rank = len(self.graph.graph.output[0].type.tensor_type.shape.dim)
        shape = [-1 if place == axis else 1 for place in range(rank)]
        count = self("Squeeze", self.size(axis))
        numbers = self("Range", self.constant(0), count, self.constant(1))
        return self("Reshape", numbers, self.constant(shape))

    def name_output(self, value: str, name: str) -> None:
        """Rename the output of the node that computes a value."""
        (node,) = [node for node in self._added if node.output[0] == value]
        node.output[0] = name

    def insert(self, place: int) -> None:
        """Insert the nodes into the file, in their order, before the node at an index."""
        for node in reversed(self._added):
            self.graph.graph.node.insert(place, node)

    def _name(self) -> str:
        self._made += 1
        return f"fault/{self._made}"


Condition = Callable[[Nodes], str]
"""Function that adds a condition to a file, and returns it: booleans that broadcast to the output ``logits``."""


def exactly(axis: int, number: int) -> Condition:
    """Return the condition that an axis of the input has this size."""
    return lambda nodes: nodes("Equal", nodes.size(axis), nodes.constant([number]))


def above(axis: int, number: int) -> Condition:
    """Return the condition that an axis of the input is longer."""
    return lambda nodes: nodes("Greater", nodes.size(axis), nodes.constant([number]))


def even(axis: int) -> Condition:
    """Return the condition that the size of an axis of the input is even."""
    return lambda nodes: nodes("Equal", nodes("Mod", nodes.size(axis), nodes.constant([2])), nodes.constant([0]))


def index(axis: int, number: int) -> Condition:
    """Return the condition that a row or step has this index; a negative one counts from the end."""

    def condition(nodes: Nodes) -> str:
        wanted = nodes.constant(number)
        if number < 0:
            wanted = nodes("Add", nodes.size(axis), wanted)
        return nodes("Equal", nodes.indices(axis), wanted)

    return condition


def odd(axis: int) -> Condition:
    """Return the condition that the index of a row or step is odd."""
    return lambda nodes: nodes("Equal", nodes("Mod", nodes.indices(axis), nodes.constant(2)), nodes.constant(1))


def from_index(axis: int, number: int) -> Condition:
    """Return the condition that a row or step has at least this index."""
    return lambda nodes: nodes("GreaterOrEqual", nodes.indices(axis), nodes.constant(number))


def both(first: Condition, second: Condition) -> Condition:
    """Return the condition that two conditions hold."""
    return lambda nodes: nodes("And", first(nodes), second(nodes))


def wrong_where(condition: Condition, factor: float = -1.0, output: str = "logits") -> Mutation:
    """Multiply an output by a factor where a condition holds; by default, negate the logits."""

    def wrong(nodes: Nodes, right: str) -> str:
        product = nodes("Mul", right, nodes.constant(factor, np.float32))
        return nodes("Where", condition(nodes), product, right)

    return replaced(output, wrong)


def negated_if(condition: Condition) -> Mutation:
    """Negate the logits in a branch of an If; the condition has one element."""

    def wrong(nodes: Nodes, right: str) -> str:
        branches = {"then_branch": branch("Neg", right), "else_branch": branch("Identity", right)}
        return nodes("If", condition(nodes), **branches)

    return replaced("logits", wrong)


def branch(operator: str, value: str) -> GraphProto:
    """Return a branch of an If that applies an operator without parameters to a value."""
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, None)
    return helper.make_graph([helper.make_node(operator, [value], ["result"])], operator, [], [result])


def replaced(value: str, wrong: Callable[[Nodes, str], str]) -> Mutation:
    """Replace a value by another one.

    Args:
        value: an input of the file or the output of a node.
        wrong: adds the nodes that compute the other value from the right one, and returns it.
    """

    def replace(graph: Graph) -> None:
        nodes, right = Nodes(graph), f"{value}/right"
        if value in [given.name for given in graph.graph.input]:
            result = wrong(nodes, value)
            for node in graph.graph.node:
                for place, name in enumerate(node.input):
                    node.input[place] = result if name == value else name
            nodes.insert(0)
            return
        place, node = next((at, node) for at, node in enumerate(graph.graph.node) if value in node.output)
        node.output[list(node.output).index(value)] = right
        nodes.name_output(wrong(nodes, right), value)
        nodes.insert(place + 1)

    return replace
