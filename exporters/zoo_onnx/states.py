"""Initial and final states of the layers: constants inside the graph, or inputs and outputs of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

import zoo
from zoo_onnx.builder import GraphBuilder

KEY = "states"
"""Metadata key of the list of states, for a program that keeps them between calls."""


class States:
    """Initial and final states of a model in a graph, (batch, n) each.

    Args:
        build: builder of the graph.
        parts: all state tensors of the model.
        x: the graph's input, (batch, time, …), or another value with the batch.
        held: whether the caller holds the states, so that they are inputs and outputs of the graph.
        batch_axis: axis of the batch in x.
    """

    def __init__(
        self, build: GraphBuilder, parts: Sequence[zoo.StatePart], x: ir.Value, *, held: bool, batch_axis: int = 0
    ) -> None:
        self.build, self.x, self.held = build, x, held
        self.wanted = held
        """Whether the final states are read."""
        self._parts = parts
        self._batch_axis = batch_axis
        self._batch: ir.Value | None = None
        self.inputs: list[ir.Value] = []
        self.outputs: list[ir.Value] = []

    batch_name = "batch"
    """Name of the node that gives the batch size."""

    def of(self, layer: int, direction: int) -> list[zoo.StatePart]:
        """Return the state tensors of one direction of one layer, in the order of its state."""
        return [part for part in self._parts if (part.layer, part.direction) == (layer, direction)]

    def start(self, part: zoo.StatePart) -> ir.Value:
        """Return the initial value of a state tensor, (batch, n): an input of the graph or a constant."""
        if not self.held:
            return self._initial(part)
        value = ir.Value(name=part.name, type=state_type(part), shape=ir.Shape(["batch", len(part.initial)]))
        self.inputs.append(value)
        return value

    def end(self, part: zoo.StatePart, value: ir.Value) -> None:
        """Make a node's output, (batch, n), the graph's output of a final state; do nothing unless states are held."""
        if self.held:
            value.name = part.next_name
            value.type, value.shape = state_type(part), ir.Shape(["batch", len(part.initial)])
            self.outputs.append(value)

    def start_all(self, layer: int, directions: int, name: str) -> list[ir.Value]:
        """Return each initial state tensor of a layer, (directions, batch, n); none where all of them are zero.

        Args:
            layer: index of the layer.
            directions: number of its directions.
            name: prefix of the names of the nodes.
        """
        parts = [self.of(layer, direction) for direction in range(directions)]
        if not self.held and not any(torch.any(part.initial) for states in parts for part in states):
            return []
        starts = [[self.start(part) for part in states] for states in parts]
        initial = []
        for index, rows in enumerate(zip(*starts, strict=True)):
            initial.append(self.stacked(rows, f"{name}/initial_{index}"))
        return initial

    def end_all(self, layer: int, directions: int, finals: Sequence[ir.Value]) -> None:
        """Make the final state tensors, (directions, batch, n), outputs of the graph, one for each direction."""
        build = self.build
        for direction in range(directions):
            for part, final in zip(self.of(layer, direction), finals, strict=True):
                name = f"{part.next_name}/without_direction"
                if directions == 1:
                    value = build.node("Squeeze", name, [final, build.integers(f"{name}/axis", 0)])
                else:
                    value = build.node("Gather", name, [final, build.weight(f"{name}/index", np.array(direction))])
                self.end(part, value)

    def stacked(self, rows: Sequence[ir.Value], name: str) -> ir.Value:
        """Return the values of all directions, (batch, n) each, as (directions, batch, n)."""
        axis = self.build.integers(f"{name}/axis", 0)
        with_axis = [
            self.build.node("Unsqueeze", f"{name}/of_direction_{number}", [row, axis])
            for number, row in enumerate(rows)
        ]
        return with_axis[0] if len(rows) == 1 else self.build.node("Concat", name, with_axis, {"axis": 0})

    def _initial(self, part: zoo.StatePart) -> ir.Value:
        """Expand the initial row to the batch; store one number where all numbers of the row are equal."""
        build, name = self.build, f"{part.name}/initial"
        if self._batch is None:
            axes = {"start": self._batch_axis, "end": self._batch_axis + 1}
            self._batch = build.node("Shape", self.batch_name, [self.x], axes)
        row = part.initial.numpy()
        width = build.integers(f"{name}/width", len(row))
        shape = build.node("Concat", f"{name}/shape", [self._batch, width], {"axis": 0})
        value = row[:1] if np.all(row == row[0]) else row
        return build.node("Expand", name, [build.weight(f"{name}/row", value), shape])

    @property
    def contract(self) -> str:
        """Metadata entry that lists the states as JSON."""
        return json.dumps([_state_entry(part) for part in self._parts])


def state_type(part: zoo.StatePart) -> ir.TensorType:
    """Return the ONNX type of a state tensor."""
    return ir.TensorType(ir.DataType.from_numpy(part.initial.numpy().dtype))


def _state_entry(part: zoo.StatePart) -> dict[str, Any]:
    """Return the metadata of one state tensor; ``initial`` is one number where all numbers of the row are equal."""
    same = bool(torch.all(part.initial == part.initial[0]))
    return {
        "input": part.name,
        "output": part.next_name,
        "shape": ["batch", len(part.initial)],
        "dtype": str(part.initial.numpy().dtype),
        "initial": part.initial[0].item() if same else part.initial.tolist(),
    }
