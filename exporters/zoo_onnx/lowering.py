"""Lowering: each part of a model written as ONNX nodes. What is not known here cannot be exported."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from torch import nn

import zoo
from zoo_onnx.builder import GraphBuilder
from zoo_onnx.lengths import Lengths
from zoo_onnx.operators import STATES, operator_weights
from zoo_onnx.states import States


def encoder_input(encoder: nn.Module) -> ir.Value:
    """The graph's input ``x``."""
    if isinstance(encoder, zoo.Normaliser):
        shape = ir.Shape(["batch", "time", encoder.output_size])
        return ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=shape)
    if isinstance(encoder, zoo.Embedding | zoo.OneHot):
        return ir.Value(name="x", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape(["batch", "time"]))
    raise unknown("encoder", encoder, "a zoo.Normaliser, Embedding or OneHot")


def lower_encoder(build: GraphBuilder, encoder: zoo.Normaliser | zoo.Embedding | zoo.OneHot, x: ir.Value) -> ir.Value:
    """(batch, time, raw features) numbers or (batch, time) tokens -> (batch, time, features)"""
    if isinstance(encoder, zoo.Normaliser):
        centred = build.node("Sub", "encoder/subtract_mean", [x, build.weight("encoder/mean", encoder.mean.numpy())])
        return build.node("Div", "encoder/divide_by_std", [centred, build.weight("encoder/std", encoder.std.numpy())])
    if isinstance(encoder, zoo.Embedding):
        table = encoder.table.weight.detach().numpy()
        return build.node("Gather", "encoder/embedding", [build.weight("encoder/table", table), x])
    # A row of the unit matrix; ONNX's OneHot would take a token out of range.
    return build.node("Gather", "encoder/one_hot", [build.weight("encoder/table", encoder.table.numpy()), x])


def lower_stack(
    build: GraphBuilder,
    stack: zoo.Stack,
    x: ir.Value,
    pooling: str | None,
    lengths: Lengths | None,
    states: States | None,
) -> ir.Value:
    """Time-major input (time, batch, features) -> what pooling makes of the last layer, (batch, features).

    Without pooling the outputs of the last layer, (batch, time, features). With ``states`` every layer starts from the
    state that comes in, and the state that it ends with goes out.
    """
    layers = stack.ordered_layers
    for index, layer in enumerate(layers):
        last = index == len(layers) - 1
        outputs, final = _lower_layer(build, index, layer, x, lengths, states, wants_final=last and pooling == "last")
        if final is not None:
            return _side_by_side(build, "pooling/last", final, len(layer.directed_cells), axis=0)
        x = _side_by_side(build, f"layer_{index}/outputs", outputs, len(layer.directed_cells), axis=1)
    if pooling is None:
        return build.node("Transpose", "to_batch_major", [x], {"perm": [1, 0, 2]})
    return _pool(build, x, pooling, lengths)


def _pool(build: GraphBuilder, x: ir.Value, pooling: str, lengths: Lengths | None) -> ir.Value:
    """(time, batch, features), zero beyond each length -> (batch, features), any pooling but ``last``"""
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


def _lower_layer(
    build: GraphBuilder,
    index: int,
    layer: zoo.Layer,
    x: ir.Value,
    lengths: Lengths | None,
    states: States | None,
    *,
    wants_final: bool,
) -> tuple[ir.Value, ir.Value | None]:
    """One node for all directions: outputs (time, D, batch, hidden), or the final hidden state (D, batch, hidden)."""
    cells = layer.directed_cells
    name = f"layer_{index}/{cells[0].name}"
    operators = [operator for cell in cells if (operator := cell.operator()) is not None]
    if len(operators) < len(cells):
        raise zoo.ExportError(
            f"layer {index}: the cell {cells[0].name!r} names no ONNX operator that it equals, and cells without one "
            "cannot be exported yet; return a zoo.Operator from its operator() if it equals an RNN, LSTM or GRU"
        )
    weights = operator_weights(operators)
    hidden = weights.recurrent.shape[2]
    parts = STATES[operators[0].name] if states is not None else "h" if wants_final else ""
    inputs: list[ir.Value | None] = [
        x,
        build.weight(f"{name}/W", weights.input),
        build.weight(f"{name}/R", weights.recurrent),
        None if weights.bias is None else build.weight(f"{name}/B", weights.bias),
        None if lengths is None else lengths.as_int32,
    ]
    if states is not None:
        inputs += [states.enter(index, part, hidden) for part in parts]
    while inputs[-1] is None:
        inputs.pop()
    # The attribute `layout` is left out: the CUDA provider refuses it. So is an initial state of zeros, the default.
    attributes: dict[str, Any] = {"hidden_size": hidden, "direction": layer.direction}
    attributes |= operators[0].attributes
    if activations := operators[0].activations:
        attributes["activations"] = list(activations) * len(cells)  # runtimes want the list for every direction
    names = ["" if wants_final else f"{name}:0", *(f"{name}:{part}" for part in parts)]
    outputs, *finals = build.node_with_outputs(operators[0].name, name, inputs, names, attributes)
    if states is not None:
        for part, final in zip(parts, finals, strict=True):
            states.leave(index, part, hidden, final)
    return outputs, finals[0] if wants_final else None


def _side_by_side(build: GraphBuilder, name: str, value: ir.Value, directions: int, axis: int) -> ir.Value:
    """Move the axis of directions, which stands at ``axis`` before (batch, hidden), into the features."""
    if directions == 1:
        return build.node("Squeeze", name, [value, build.integers(f"{name}/axis", axis)])
    order = [*range(axis), axis + 1, axis, axis + 2]
    moved = build.node("Transpose", f"{name}/transpose", [value], {"perm": order})
    kept = [0] * (axis + 1)  # 0 keeps a dimension as it is, whatever its size
    return build.node("Reshape", name, [moved, build.integers(f"{name}/shape", *kept, -1)])


def unknown(part: str, module: nn.Module, known: str) -> zoo.ExportError:
    """The error for a module that cannot be lowered."""
    return zoo.ExportError(f"{part}: {type(module).__name__} cannot be exported yet; use {known}")
