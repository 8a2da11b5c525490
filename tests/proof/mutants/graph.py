"""A model file that can be altered: its nodes and weights by name."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper


class Graph:
    """Nodes and weights of a model file by name.

    Args:
        model: the file; altered in place.
    """

    def __init__(self, model: ModelProto) -> None:
        self.model, self.graph = model, model.graph

    def node(self, name: str) -> NodeProto:
        node: NodeProto
        (node,) = [node for node in self.graph.node if node.name == name]
        return node

    def attribute(self, name: str, **values: Any) -> None:
        """Set attributes of a node."""
        node = self.node(name)
        kept = [attribute for attribute in node.attribute if attribute.name not in values]
        del node.attribute[:]
        node.attribute.extend([*kept, *(helper.make_attribute(key, value) for key, value in values.items())])

    def weight(self, name: str) -> NDArray[Any]:
        tensor = next(tensor for tensor in self.graph.initializer if tensor.name == name)
        return numpy_helper.to_array(tensor).copy()

    def set(self, name: str, array: NDArray[Any]) -> None:
        """Replace the values of a weight, or add a new weight."""
        kept = [tensor for tensor in self.graph.initializer if tensor.name != name]
        del self.graph.initializer[:]
        self.graph.initializer.extend([*kept, numpy_helper.from_array(np.asarray(array, order="C"), name)])

    def insert(self, after: str, *nodes: NodeProto) -> None:
        """Insert nodes after another one."""
        order = list(self.graph.node)
        place = 1 + next(index for index, node in enumerate(order) if node.name == after)
        del self.graph.node[:]
        self.graph.node.extend([*order[:place], *nodes, *order[place:]])

    def remove(self, name: str) -> None:
        self.graph.node.remove(self.node(name))


def blocks(array: NDArray[Any], order: list[int], axis: int = 1) -> NDArray[Any]:
    """Return an array with its gate blocks, as many as ``order`` has entries, in another order."""
    parts = np.split(array, len(order), axis)
    return np.concatenate([parts[index] for index in order], axis)
