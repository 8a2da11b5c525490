"""Lowering of the encoder: from the user's numbers or tokens to the feature vectors of the first layer."""

from __future__ import annotations

import onnx_ir as ir
from torch import nn

import zoo
from zoo_onnx.builder import GraphBuilder, unsupported


def encoder_input(encoder: nn.Module, steps: int | None) -> ir.Value:
    """Return the graph's input ``x``, (batch, time, features) or (batch, time); steps are free if None."""
    time = steps or "time"
    if isinstance(encoder, zoo.Normaliser):
        shape = ir.Shape(["batch", time, encoder.output_size])
        return ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=shape)
    if isinstance(encoder, zoo.Embedding | zoo.OneHot):
        return ir.Value(name="x", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape(["batch", time]))
    raise unsupported("encoder", encoder, "a zoo.Normaliser, Embedding or OneHot")


def lower_encoder(build: GraphBuilder, encoder: zoo.Normaliser | zoo.Embedding | zoo.OneHot, x: ir.Value) -> ir.Value:
    """Lower numbers (batch, time, raw features) or tokens (batch, time) to features (batch, time, features)."""
    if isinstance(encoder, zoo.Normaliser):
        centred = build.node("Sub", "encoder/subtract_mean", [x, build.weight("encoder/mean", encoder.mean.numpy())])
        return build.node("Div", "encoder/divide_by_std", [centred, build.weight("encoder/std", encoder.std.numpy())])
    if isinstance(encoder, zoo.Embedding):
        table = encoder.table.weight.detach().numpy()
        return build.node("Gather", "encoder/embedding", [build.weight("encoder/table", table), x])
    # Gather in the unit matrix, since ONNX's OneHot accepts a token that is out of range.
    return build.node("Gather", "encoder/one_hot", [build.weight("encoder/table", encoder.table.numpy()), x])
