"""Builder of the main graph: collects its nodes and weights under readable names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from torch import nn

import zoo

TRACED = "traced"
"""Metadata key of the list of loops whose steps torch.onnx has traced, as JSON: the prefixes of their nodes."""

EXACT = "kept in float32 in a file of any precision"
"""Description of a weight that a file of lower precision must not store in its format."""


class GraphBuilder:
    """Nodes and weights of a graph, in the order in which they are added.

    Args:
        opset: version of ONNX's operators to write.
    """

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[ir.Node] = []
        self.initializers: list[ir.Value] = []
        self.traced: list[str] = []
        """Names of the loops whose steps torch.onnx has traced, which are prefixes of their nodes."""
        self._weights: dict[str, ir.Value] = {}

    def weight(self, name: str, array: NDArray[Any], description: str | None = None) -> ir.Value:
        """Add an initialiser, with a description in the file if given; a name that was added is the same weight."""
        if name in self._weights:
            return self._weights[name]
        array = np.asarray(array, order="C")  # ascontiguousarray would give a scalar an axis
        tensor = ir.tensor(array, name=name, doc_string=description)
        value = ir.Value(name=name, const_value=tensor, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype))
        self.initializers.append(value)
        self._weights[name] = value
        return value

    def integers(self, name: str, *numbers: int) -> ir.Value:
        """Add an int64 vector, for axes and shapes, and return its value."""
        return self.weight(name, np.array(numbers, np.int64))

    def node(
        self,
        operator: str,
        name: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, Any] | None = None,
    ) -> ir.Value:
        """Add a node with one output, named after the node, and return the output."""
        (value,) = self.node_with_outputs(operator, name, inputs, [f"{name}:0"], attributes)
        return value

    def node_with_outputs(
        self,
        operator: str,
        name: str,
        inputs: Sequence[ir.Value | None],
        outputs: Sequence[str],
        attributes: Mapping[str, Any] | None = None,
    ) -> Sequence[ir.Value]:
        """Add a node and return its outputs; an empty name leaves an output out."""
        values = [ir.Value(name=output) for output in outputs]
        self.nodes.append(ir.node(operator, inputs, attributes, outputs=values, name=name))
        return values

    def reduce(self, operator: str, name: str, value: ir.Value, axis: int) -> ir.Value:
        """Add a ReduceMean or ReduceMax over one axis, which is an attribute before opset 18 and an input since."""
        if self.opset < 18:
            return self.node(operator, name, [value], {"axes": [axis], "keepdims": 0})
        return self.node(operator, name, [value, self.integers(f"{name}/axis", axis)], {"keepdims": 0})


def unsupported(part: str, module: nn.Module, supported: str) -> zoo.ExportError:
    """Return the error for a module that cannot be lowered."""
    return zoo.ExportError(f"{part}: {type(module).__name__} cannot be exported; use {supported}")
