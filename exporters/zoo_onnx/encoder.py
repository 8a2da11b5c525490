"""Lowering of the encoder: from the user's steps, numbers or tokens, to the vectors that the network reads."""

from __future__ import annotations

import onnx_ir as ir
from torch import nn

import zoo
from zoo_onnx.builder import GraphBuilder, unknown


def encoder_input(encoder: nn.Module, steps: int | None) -> ir.Value:
    """The graph's input ``x``, of any number of steps unless it is fixed."""
    time = steps or "time"
    if isinstance(encoder, zoo.Normaliser):
        shape = ir.Shape(["batch", time, encoder.output_size])
        return ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=shape)
    if isinstance(encoder, zoo.Embedding | zoo.OneHot):
        return ir.Value(name="x", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape(["batch", time]))
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
