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
        x: the graph's input, (batch, time, …).
        held: whether the caller holds the states, so that they are inputs and outputs of the graph.
    """

    def __init__(self, build: GraphBuilder, parts: Sequence[zoo.StatePart], x: ir.Value, *, held: bool) -> None:
        self.build, self.x, self.held = build, x, held
        self._parts = parts
        self._batch: ir.Value | None = None
        self.inputs: list[ir.Value] = []
        self.outputs: list[ir.Value] = []

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

    def _initial(self, part: zoo.StatePart) -> ir.Value:
        """Expand the initial row to the batch; store one number where all numbers of the row are equal."""
        build, name = self.build, f"{part.name}/initial"
        if self._batch is None:
            self._batch = build.node("Shape", "batch", [self.x], {"start": 0, "end": 1})
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
