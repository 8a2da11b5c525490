"""Lowering of the recurrent layers: choice of native, scan or unrolled for each layer, and the pooling after them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

import zoo
from zoo_onnx import native, scan, unrolled
from zoo_onnx.auto import prefers_scan
from zoo_onnx.builder import GraphBuilder
from zoo_onnx.equations import from_equations
from zoo_onnx.lengths import Lengths
from zoo_onnx.loop import Loop
from zoo_onnx.piece import CellPieces, Graft
from zoo_onnx.place import Place
from zoo_onnx.states import States

OLDEST = 18
"""Oldest opset that torch.onnx writes."""


def lower_stack(
    build: GraphBuilder,
    model: zoo.Model,
    x: ir.Value,
    lengths: Lengths | None,
    states: States,
    options: zoo.ExportOptions,
) -> ir.Value:
    """Lower all layers and the pooling: (time, batch, features) to (batch, features).

    Without pooling the result is the outputs of the last layer, (batch, time, features).
    """
    layers = model.layers()
    operators = {index: operators_to_write(index, layer, options, build.opset) for index, layer in enumerate(layers)}
    loops = [(index, k) for index, layer in enumerate(layers) if not operators[index] for k in range(len(layer.cells))]
    cells, graft = cells_of_loops(model.stack, loops, build.opset), Graft(build)
    for index, layer in enumerate(layers):
        ends = index == len(layers) - 1 and model.pooling == "last"
        place = Place(build, index, layer, x, lengths, states, "last" if ends else "outputs")
        x = lower_layer(place, operators[index], cells, graft, options.steps)
    if model.pooling == "last":
        return x
    if model.pooling is None:
        return build.node("Transpose", "to_batch_major", [x], {"perm": [1, 0, 2]})
    return _pool(build, x, model.pooling, lengths)


def lower_layer(
    place: Place,
    operators: list[zoo.Operator] | None,
    cells: Mapping[tuple[int, int], CellPieces],
    graft: Graft,
    steps: int | None,
) -> ir.Value:
    """Lower one layer and return its result.

    Args:
        place: the layer and its position.
        operators: the operators to write; None for a loop.
        cells: nodes of the cells that become loops, by (layer, direction).
        graft: copier of these nodes.
        steps: number of steps of an unrolled loop; None for a Scan.
    """
    if operators:
        return native.lower(place, operators)
    values = []
    for direction, (_, reverse, name) in enumerate(place.directions):
        parts = place.states.of(place.index, direction)
        loop = Loop(place, graft, cells[place.index, direction], reverse, name, parts)
        place.build.traced += [name] if loop.cell.traced else []
        values.append(unrolled.lower(loop, steps) if steps else scan.lower(loop))
    return place.concatenate(values) if place.wants != "states" else values[0]


def operators_to_write(
    index: int, layer: zoo.Layer, options: zoo.ExportOptions, opset: int
) -> list[zoo.Operator] | None:
    """Return the operators to write for a layer, or None for a loop of its cells' own steps.

    Raises:
        ExportError: if the lowering is ``native`` and a cell of the layer names no operator.
    """
    if options.lowering in ("scan", "unrolled"):
        return None
    operators = native.operators_of(layer)
    if operators is None and options.lowering == "native":
        name = layer.directed_cells[0].name
        raise zoo.ExportError(
            f"layer {index}: the cell {name!r} names no ONNX operator that it equals, so it has no lowering 'native'; "
            "use 'scan' or 'auto'"
        )
    if operators and options.lowering == "auto" and opset >= OLDEST and prefers_scan(operators[0], options):
        return None
    return operators


def cells_of_loops(stack: zoo.Stack, loops: list[tuple[int, int]], opset: int) -> Mapping[tuple[int, int], CellPieces]:
    """Return the nodes of cells by (layer, direction): from the equations of an operator, or traced."""
    if loops and opset < OLDEST:
        raise zoo.UsageError(f"opset {opset}: a cell's own step needs {OLDEST} or newer; leave opset out")
    cells = {place: pieces for place in loops if (pieces := from_equations(stack, *place)) is not None}
    if rest := [place for place in loops if place not in cells]:
        from zoo_onnx.tracing import trace  # loads 100 MB of torch and onnxscript

        cells |= trace(stack, rest, opset)
    return cells


def _pool(build: GraphBuilder, x: ir.Value, pooling: str, lengths: Lengths | None) -> ir.Value:
    """Pool (time, batch, features), zero beyond each length, to (batch, features); any pooling but ``last``."""
    if lengths is not None:
        if pooling == "last_step":
            return lengths.at_last_step(x, "pooling/last_step")
        if pooling == "mean":
            total = build.node("ReduceSum", "pooling/sum", [x, build.integers("pooling/axis", 0)], {"keepdims": 0})
            return build.node("Div", "pooling/mean", [total, lengths.as_column])
        x = lengths.lowest_beyond(x, "pooling/within_lengths")
    if pooling == "last_step":
        return build.node("Gather", "pooling/last_step", [x, build.weight("pooling/index", np.array(-1))], {"axis": 0})
    return build.reduce({"mean": "ReduceMean", "max": "ReduceMax"}[pooling], f"pooling/{pooling}", x, axis=0)
