"""A piece of a traced graph, and how it is put into another graph."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from zoo_onnx.builder import GraphBuilder

PARAMETERS = "stack."
"""What the names of parameters begin with, in a model and in what is traced of it."""


def is_parameter(value: ir.Value) -> bool:
    """Whether a value of a traced graph is a parameter or a buffer of the model."""
    return (value.name or "").startswith(PARAMETERS) and value.producer() is None


def short_name(value: ir.Value) -> str:
    """What a value is called inside its cell."""
    return re.sub(rf"^{re.escape(PARAMETERS)}layers\.\d+\.cells\.\d+\.", "", value.name or "")


@dataclass(eq=False)
class Piece:
    """What leads from some values of a traced graph to others."""

    inputs: list[ir.Value]
    outputs: list[ir.Value]

    def nodes(self) -> list[ir.Node]:
        """Every node that the outputs need, each after those that it needs itself."""
        ordered: list[ir.Node] = []
        known: set[ir.Node] = set()
        waiting = [(value.producer(), False) for value in reversed(self.outputs) if value not in self.inputs]
        while waiting:  # a loop, since a long solver inside a cell is deeper than Python's stack
            node, complete = waiting.pop()
            if node is None or (node in known and not complete):
                continue
            if complete:
                ordered.append(node)
                continue
            known.add(node)
            waiting.append((node, True))
            needed = [value for value in node.inputs if value is not None and value not in self.inputs]
            waiting += [(value.producer(), False) for value in reversed(needed)]
        return ordered

    def constants(self) -> set[ir.Value]:
        """What its nodes make of weights and constants alone."""
        found: set[ir.Value] = set()
        for node in self.nodes():
            if all(value is None or self.is_constant(value, found) for value in node.inputs):
                found.update(node.outputs)
        return found

    def is_constant(self, value: ir.Value, made: Collection[ir.Value]) -> bool:
        """Whether a value is a weight, or among the ``made`` ones that follow from weights."""
        return value in made or (value.producer() is None and value not in self.inputs)

    def replace_uses(self, old: ir.Value, new: ir.Value) -> None:
        """Let everything that reads ``old`` read ``new``."""
        old.replace_all_uses_with(new)
        self.outputs = [new if value is old else value for value in self.outputs]

    @staticmethod
    def take_out(node: ir.Node) -> None:
        """Let a node whose outputs nobody reads any more read nothing itself."""
        for index in range(len(node.inputs)):
            node.replace_input_with(index, None)


@dataclass(eq=False)
class CellPieces:
    """A cell as ONNX nodes."""

    project: Piece
    """(time, batch, input_size) -> (time, batch, any)"""
    step: Piece
    """x (batch, any), then the state of (batch, n) each -> output (batch, output_size), then the state."""


class Graft:
    """Puts pieces of cells into the graph that is being built.

    What depends on no input of a piece, weights and what is made of them alone, stands in the main graph, once.
    """

    def __init__(self, build: GraphBuilder) -> None:
        self.build = build
        self._outer: dict[ir.Value, ir.Value] = {}
        self._parameters: dict[str, ir.Value] = {}

    def constant(self, value: ir.Value, prefix: str) -> ir.Value:
        """That value in the main graph. Parameters keep the names that they have in the model."""
        if value not in self._outer:
            producer = value.producer()
            if producer is None:
                self._outer[value] = self._weight(value, prefix)
            else:
                inputs = [None if one is None else self.constant(one, prefix) for one in producer.inputs]
                self._outer |= self._clone(producer, inputs, prefix, self.build.nodes)
        return self._outer[value]

    def _weight(self, value: ir.Value, prefix: str) -> ir.Value:
        assert value.const_value is not None
        array, name = np.asarray(value.const_value.numpy()), str(value.name)
        if not is_parameter(value):
            return self.build.weight(f"{prefix}/{name}", array)
        if name not in self._parameters:  # which cells may share
            self._parameters[name] = self.build.weight(name, array)
        return self._parameters[name]

    def put(
        self, piece: Piece, inputs: Sequence[ir.Value], prefix: str, nodes: list[ir.Node] | None = None
    ) -> list[ir.Value]:
        """Copy a piece.

        Args:
            piece: what to copy.
            inputs: what takes the place of its inputs.
            prefix: of the names.
            nodes: where the copies go; into the main graph when None.

        Returns:
            What its outputs have become.
        """
        target = self.build.nodes if nodes is None else nodes
        found = dict(zip(piece.inputs, inputs, strict=True))
        constants = piece.constants()
        for node in piece.nodes():
            if node.outputs[0] in constants:
                continue
            values = [None if one is None else self._find(one, found, prefix) for one in node.inputs]
            if node.op_type == "Identity":
                assert values[0] is not None
                found[node.outputs[0]] = values[0]
            else:
                found |= self._clone(node, values, prefix, target)
        return [self._find(value, found, prefix) for value in piece.outputs]

    def _find(self, value: ir.Value, found: Mapping[ir.Value, ir.Value], prefix: str) -> ir.Value:
        return found[value] if value in found else self.constant(value, prefix)

    @staticmethod
    def _clone(
        node: ir.Node, inputs: Sequence[ir.Value | None], prefix: str, target: list[ir.Node]
    ) -> dict[ir.Value, ir.Value]:
        outputs = [ir.Value(name=f"{prefix}/{value.name}" if value.name else "") for value in node.outputs]
        name = f"{prefix}/{node.outputs[0].name}"
        target.append(
            ir.node(node.op_type, inputs, {a.name: a for a in node.attributes.values()}, outputs=outputs, name=name)
        )
        return dict(zip(node.outputs, outputs, strict=True))
