"""From a cell to a Scan body, step 2 of 4: pieces of the traced graph, copied into the main graph (next: loop.py)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from zoo_onnx.builder import GraphBuilder

PARAMETERS = "stack."
"""Prefix of the names of parameters, in a model and in its traced graph."""
COMPUTED = "computed from weights in float64 and rounded once"
"""Description of a constant that `zoo_onnx.folding` has computed; its last bit may differ between machines."""


def is_parameter(value: ir.Value) -> bool:
    """Return whether a value of a traced graph is a parameter or a buffer of the model."""
    return (value.name or "").startswith(PARAMETERS) and value.producer() is None


def short_name(value: ir.Value) -> str:
    """Return the name of a value without the prefix of its cell."""
    return re.sub(rf"^{re.escape(PARAMETERS)}layers\.\d+\.cells\.\d+\.", "", value.name or "")


def split(value: ir.Value, sizes: Sequence[int], axis: int) -> list[ir.Value]:
    """Add a Split of a value along an axis to its piece and return the parts."""
    name = short_name(value)
    lengths = ir.Value(name=f"{name}/sizes", const_value=ir.tensor(np.array(sizes, np.int64)))
    parts = []
    for index, size in enumerate(sizes):
        shape = list(value.shape or ())
        shape[axis] = size
        parts.append(ir.Value(name=f"{name}/{index}", type=value.type, shape=ir.Shape(shape)))
    ir.node("Split", [value, lengths], {"axis": axis}, outputs=parts)
    return parts


@dataclass(eq=False)
class Piece:
    """Subgraph of a traced graph between some values and others."""

    inputs: list[ir.Value]
    outputs: list[ir.Value]

    def nodes(self) -> list[ir.Node]:
        """Return every node that the outputs need, in execution order."""
        ordered: list[ir.Node] = []
        visited: set[ir.Node] = set()
        waiting = [(value.producer(), False) for value in reversed(self.outputs) if value not in self.inputs]
        while waiting:  # not recursive, since a long solver inside a cell is deeper than Python's stack
            node, complete = waiting.pop()
            if node is None or (node in visited and not complete):
                continue
            if complete:
                ordered.append(node)
                continue
            visited.add(node)
            waiting.append((node, True))
            needed = [value for value in node.inputs if value is not None and value not in self.inputs]
            waiting += [(value.producer(), False) for value in reversed(needed)]
        return ordered

    def constants(self) -> set[ir.Value]:
        """Return the outputs of nodes that depend on weights and constants alone."""
        constants: set[ir.Value] = set()
        for node in self.nodes():
            if all(value is None or self.is_constant(value, constants) for value in node.inputs):
                constants.update(node.outputs)
        return constants

    def is_constant(self, value: ir.Value, constants: Collection[ir.Value]) -> bool:
        """Return whether a value is a weight, or among the given values that depend on weights alone."""
        return value in constants or (value.producer() is None and value not in self.inputs)

    def replace_uses(self, old: ir.Value, new: ir.Value) -> None:
        """Replace a value in all nodes that read it, and in the outputs."""
        old.replace_all_uses_with(new)
        self.outputs = [new if value is old else value for value in self.outputs]

    @staticmethod
    def detach(node: ir.Node) -> None:
        """Remove the inputs of a node whose outputs are no longer read, so that it no longer counts as a reader."""
        for index in range(len(node.inputs)):
            node.replace_input_with(index, None)


@dataclass(eq=False)
class CellPieces:
    """A cell as ONNX nodes."""

    project: Piece
    """From (time, batch, input_size) to (time, batch, n)."""
    step: Piece
    """From x (batch, n) and the state tensors to the output (batch, output_size) and the state tensors."""
    traced: bool = False
    """Whether torch.onnx traced them, so that another version of it may write other nodes."""


class Graft:
    """Copier of pieces into the graph under construction.

    Weights, and values that depend on weights alone, are added to the main graph, once.
    """

    def __init__(self, build: GraphBuilder) -> None:
        self.build = build
        self._outer: dict[ir.Value, ir.Value] = {}
        self._parameters: dict[str, ir.Value] = {}

    def constant(self, value: ir.Value, prefix: str) -> ir.Value:
        """Return the copy of a constant in the main graph; parameters keep the names that they have in the model."""
        if value not in self._outer:
            producer = value.producer()
            if producer is None:
                self._outer[value] = self._weight(value, prefix)
            else:
                inputs = [None if source is None else self.constant(source, prefix) for source in producer.inputs]
                self._outer |= self._clone(producer, inputs, prefix, self.build.nodes)
        return self._outer[value]

    def _weight(self, value: ir.Value, prefix: str) -> ir.Value:
        assert value.const_value is not None
        array, name = np.asarray(value.const_value.numpy()), str(value.name)
        if not is_parameter(value):
            return self.build.weight(f"{prefix}/{name}", array)
        if name not in self._parameters:  # cells may share a parameter
            self._parameters[name] = self.build.weight(
                name, array, value.doc_string if value.doc_string == COMPUTED else None
            )
        return self._parameters[name]

    def put(
        self, piece: Piece, inputs: Sequence[ir.Value], prefix: str, nodes: list[ir.Node] | None = None
    ) -> list[ir.Value]:
        """Copy a piece.

        Args:
            piece: the piece to copy.
            inputs: the values that replace its inputs.
            prefix: prefix of the names of the copies.
            nodes: the list that receives the copies; None for the main graph.

        Returns:
            The copies of its outputs.
        """
        target = self.build.nodes if nodes is None else nodes
        copies = dict(zip(piece.inputs, inputs, strict=True))
        constants = piece.constants()
        for node in piece.nodes():
            if node.outputs[0] in constants:
                continue
            values = [None if value is None else self._copy_of(value, copies, prefix) for value in node.inputs]
            if node.op_type == "Identity":
                assert values[0] is not None
                copies[node.outputs[0]] = values[0]
            else:
                copies |= self._clone(node, values, prefix, target)
        return [self._copy_of(value, copies, prefix) for value in piece.outputs]

    def _copy_of(self, value: ir.Value, copies: Mapping[ir.Value, ir.Value], prefix: str) -> ir.Value:
        return copies[value] if value in copies else self.constant(value, prefix)

    @staticmethod
    def _clone(
        node: ir.Node, inputs: Sequence[ir.Value | None], prefix: str, target: list[ir.Node]
    ) -> dict[ir.Value, ir.Value]:
        """Append a copy of a node to a list and return the copies of its outputs."""
        outputs = [ir.Value(name=f"{prefix}/{value.name}" if value.name else "") for value in node.outputs]
        name = f"{prefix}/{node.outputs[0].name}"
        target.append(
            ir.node(node.op_type, inputs, {a.name: a for a in node.attributes.values()}, outputs=outputs, name=name)
        )
        return dict(zip(node.outputs, outputs, strict=True))
