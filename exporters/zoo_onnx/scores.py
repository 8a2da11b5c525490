"""Lowering of what stands on top of the recurrent layers: the head and the readout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from torch import nn

import zoo
from zoo_onnx.builder import GraphBuilder
from zoo_onnx.lowering import unknown

ACTIVATIONS = {nn.ReLU: "Relu", nn.Tanh: "Tanh"}


def lower_head(build: GraphBuilder, head: nn.Module, features: ir.Value, *, by_step: bool) -> ir.Value:
    """(batch, features), or by step (batch, time, features) -> scores in place of the features"""
    modules = list(head) if isinstance(head, nn.Sequential) else [head]
    value = features
    for index, module in enumerate(modules):
        name = "head" if len(modules) == 1 else f"head/{index}"
        if isinstance(module, nn.Linear):
            value = _lower_linear(build, module, value, name, by_step=by_step)
        elif type(module) in ACTIVATIONS:
            value = build.node(ACTIVATIONS[type(module)], f"{name}/activation", [value])
        elif not isinstance(module, nn.Dropout):  # which does nothing outside training
            known = "a torch.nn.Linear, or a Sequential of Linear, ReLU, Tanh and Dropout"
            raise unknown("head", module, known)
    return value


def _lower_linear(build: GraphBuilder, linear: nn.Linear, value: ir.Value, name: str, *, by_step: bool) -> ir.Value:
    weight = linear.weight.detach().numpy()
    bias = None if linear.bias is None else build.weight(f"{name}/bias", linear.bias.detach().numpy())
    if not by_step:
        inputs = [value, build.weight(f"{name}/weight", weight), *([] if bias is None else [bias])]
        return build.node("Gemm", f"{name}/linear", inputs, {"transB": 1})
    product = build.node("MatMul", f"{name}/product", [value, build.weight(f"{name}/weight", weight.T)])
    return product if bias is None else build.node("Add", f"{name}/linear", [product, bias])


def lower_readout(build: GraphBuilder, readout: nn.Module, scores: ir.Value, axes: Sequence[str]) -> Sequence[ir.Value]:
    """Scores -> the graph's outputs, with names, types and shapes.

    Args:
        axes: the names of the axes of the scores before the last one.
    """
    if isinstance(readout, zoo.SoftmaxReadout):
        softmax = build.node("Softmax", "readout/softmax", [scores], {"axis": -1})
        return [_output(scores, "logits", [*axes, None]), _output(softmax, "probabilities", [*axes, None])]
    if isinstance(readout, zoo.SigmoidReadout):
        other = build.node("Neg", "readout/other", [scores])
        both = build.node("Concat", "readout/both", [other, scores], {"axis": -1})
        sigmoid = build.node("Sigmoid", "readout/sigmoid", [both])
        return [_output(scores, "logits", [*axes, 1]), _output(sigmoid, "probabilities", [*axes, 2])]
    if isinstance(readout, zoo.RescaleReadout):
        return [_lower_rescale(build, readout, scores)]
    raise unknown("readout", readout, "a zoo.SoftmaxReadout, SigmoidReadout or RescaleReadout")


def _lower_rescale(build: GraphBuilder, readout: zoo.RescaleReadout, scores: ir.Value) -> ir.Value:
    factor, offset = readout.factor.numpy(), readout.offset.numpy()
    shape: list[str | int | None] = ["batch", *([readout.horizon] if readout.horizon else []), len(factor)]
    value = scores
    if readout.horizon:
        by_horizon = build.weight("readout/shape", np.array([-1, *(int(size) for size in shape[1:] if size)], np.int64))
        value = build.node("Reshape", "readout/by_step", [value, by_horizon])
    scaled = build.node("Mul", "readout/scale", [value, build.weight("readout/factor", factor)])
    return _output(build.node("Add", "readout/shift", [scaled, build.weight("readout/offset", offset)]), "y", shape)


def _output(value: ir.Value, name: str, shape: Sequence[str | int | None]) -> ir.Value:
    value.name = name
    value.type = ir.TensorType(ir.DataType.FLOAT)
    value.shape = ir.Shape(shape)
    return value
