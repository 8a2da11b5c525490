"""From a cell to an ONNX operator, step 2 of 2, the lowering ``native``: one node for all directions of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

import zoo
from zoo_onnx.operators import STATES, operator_weights
from zoo_onnx.place import Place


def operators_of(layer: zoo.Layer) -> list[zoo.Operator] | None:
    """Return the operator that each cell of a layer equals, or None if a cell names none."""
    operators = [operator for cell in layer.directed_cells if (operator := cell.operator()) is not None]
    return operators if len(operators) == len(layer.directed_cells) else None


def lower(place: Place, operators: Sequence[zoo.Operator]) -> ir.Value:
    """Add the layer's node and return the result of the layer; a value without a name if it has none."""
    build, name, cells = place.build, place.name, len(operators)
    weights = operator_weights(operators)
    hidden = weights.recurrent.shape[2]
    parts = STATES[operators[0].name] if place.states.wanted else "h" if place.wants == "last" else ""
    inputs: list[ir.Value | None] = [
        place.x,
        build.weight(f"{place.weights_name}/W", weights.input),
        build.weight(f"{place.weights_name}/R", weights.recurrent),
        None if weights.bias is None else build.weight(f"{place.weights_name}/B", weights.bias),
        None if place.lengths is None else place.lengths.as_int32,
        *place.states.start_all(place.index, cells, name),
    ]
    while inputs[-1] is None:
        inputs.pop()
    # Not written: `layout`, which the CUDA provider refuses, and an initial state of zeros, which is the default.
    attributes: dict[str, Any] = {"hidden_size": hidden, "direction": place.layer.direction}
    attributes |= operators[0].attributes
    if activations := operators[0].activations:
        attributes["activations"] = list(activations) * cells  # ONNX Runtime requires the list for every direction
    names = [f"{name}:0" if place.wants == "outputs" else "", *(f"{name}:{part}" for part in parts)]
    outputs, *finals = build.node_with_outputs(operators[0].name, name, inputs, names, attributes)
    if place.states.wanted:
        place.states.end_all(place.index, cells, finals)
    if place.wants == "last":
        return _into_features(place, finals[0], cells, axis=0)
    if place.wants == "states":
        return outputs
    return _into_features(place, outputs, cells, axis=1)


def _into_features(place: Place, value: ir.Value, cells: int, axis: int) -> ir.Value:
    """Merge the axis of directions, at index ``axis`` before (batch, hidden), into the features."""
    build, name = place.build, place.result_name
    if cells == 1:
        return build.node("Squeeze", name, [value, build.integers(f"{name}/axis", axis)])
    order = [*range(axis), axis + 1, axis, axis + 2]
    moved = build.node("Transpose", f"{name}/transpose", [value], {"perm": order})
    kept = [0] * (axis + 1)  # 0 keeps the size of a dimension
    return build.node("Reshape", name, [moved, build.integers(f"{name}/shape", *kept, -1)])
