"""From a cell to an ONNX operator, step 2 of 2, the lowering ``native``: one node for all directions of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

import zoo
from zoo_onnx.operators import STATES, operator_weights
from zoo_onnx.place import Place


def operators_of(layer: zoo.Layer) -> list[zoo.Operator] | None:
    """Return the operator that each cell of a layer equals, or None if a cell names none."""
    operators = [operator for cell in layer.directed_cells if (operator := cell.operator()) is not None]
    return operators if len(operators) == len(layer.directed_cells) else None


def lower(place: Place, operators: Sequence[zoo.Operator]) -> ir.Value:
    """Add the layer's node and return the result of the layer."""
    build, name, cells = place.build, place.name, len(operators)
    weights = operator_weights(operators)
    hidden = weights.recurrent.shape[2]
    parts = STATES[operators[0].name] if place.states.held else "h" if place.wants == "last" else ""
    inputs: list[ir.Value | None] = [
        place.x,
        build.weight(f"{name}/W", weights.input),
        build.weight(f"{name}/R", weights.recurrent),
        None if weights.bias is None else build.weight(f"{name}/B", weights.bias),
        None if place.lengths is None else place.lengths.as_int32,
        *_initial_states(place, cells),
    ]
    while inputs[-1] is None:
        inputs.pop()
    # Not written: `layout`, which the CUDA provider refuses, and an initial state of zeros, which is the default.
    attributes: dict[str, Any] = {"hidden_size": hidden, "direction": place.layer.direction}
    attributes |= operators[0].attributes
    if activations := operators[0].activations:
        attributes["activations"] = list(activations) * cells  # ONNX Runtime requires the list for every direction
    names = ["" if place.wants == "last" else f"{name}:0", *(f"{name}:{part}" for part in parts)]
    outputs, *finals = build.node_with_outputs(operators[0].name, name, inputs, names, attributes)
    if place.states.held:
        _end_states(place, finals, cells)
    if place.wants == "last":
        return _into_features(place, finals[0], cells, axis=0)
    return _into_features(place, outputs, cells, axis=1)


def _initial_states(place: Place, cells: int) -> list[ir.Value]:
    """Return each initial state tensor, (directions, batch, hidden); none where all of them are zero."""
    directions = [place.states.of(place.index, direction) for direction in range(cells)]
    if not place.states.held and not any(torch.any(part.initial) for parts in directions for part in parts):
        return []
    starts = [[place.states.start(part) for part in parts] for parts in directions]
    initial = []
    for index, rows in enumerate(zip(*starts, strict=True)):
        name = f"{place.name}/initial_{index}"
        axis = place.build.integers(f"{name}/axis", 0)
        with_axis = [
            place.build.node("Unsqueeze", f"{name}/of_direction_{number}", [row, axis])
            for number, row in enumerate(rows)
        ]
        initial.append(with_axis[0] if cells == 1 else place.build.node("Concat", name, with_axis, {"axis": 0}))
    return initial


def _end_states(place: Place, finals: Sequence[ir.Value], cells: int) -> None:
    """Make the final state tensors, (directions, batch, hidden), outputs of the graph, one for each direction."""
    build = place.build
    for direction in range(cells):
        for part, final in zip(place.states.of(place.index, direction), finals, strict=True):
            name = f"{part.next_name}/without_direction"
            if cells == 1:
                value = build.node("Squeeze", name, [final, build.integers(f"{name}/axis", 0)])
            else:
                value = build.node("Gather", name, [final, build.weight(f"{name}/index", np.array(direction))])
            place.states.end(part, value)


def _into_features(place: Place, value: ir.Value, cells: int, axis: int) -> ir.Value:
    """Merge the axis of directions, at index ``axis`` before (batch, hidden), into the features."""
    build, name = place.build, place.result_name
    if cells == 1:
        return build.node("Squeeze", name, [value, build.integers(f"{name}/axis", axis)])
    order = [*range(axis), axis + 1, axis, axis + 2]
    moved = build.node("Transpose", f"{name}/transpose", [value], {"perm": order})
    kept = [0] * (axis + 1)  # 0 keeps the size of a dimension
    return build.node("Reshape", name, [moved, build.integers(f"{name}/shape", *kept, -1)])
