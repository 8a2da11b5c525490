"""Lowering of the head, from features to scores, and of the readout, from scores to the graph's outputs."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir
from torch import nn

import zoo
from zoo_onnx.builder import GraphBuilder, unsupported
from zoo_onnx.encoder import by_group
from zoo_onnx.lengths import Lengths

ACTIVATIONS = {nn.ReLU: "Relu", nn.Tanh: "Tanh"}
SUPPORTED_HEADS = "a torch.nn.Linear, or a Sequential of Linear, ReLU, Tanh and Dropout"


def lower_head(build: GraphBuilder, head: nn.Module, features: ir.Value, *, by_step: bool) -> tuple[ir.Value, int]:
    """Lower features (batch, n), or by step (batch, time, n), to scores; return them and their number."""
    modules = list(head) if isinstance(head, nn.Sequential) else [head]
    value, width = features, 0
    for index, module in enumerate(modules):
        name = "head" if len(modules) == 1 else f"head/{index}"
        if isinstance(module, nn.Linear):
            value, width = _lower_linear(build, module, value, name, by_step=by_step), module.out_features
        elif type(module) in ACTIVATIONS:
            value = build.node(ACTIVATIONS[type(module)], f"{name}/activation", [value])
        elif not isinstance(module, nn.Dropout):  # dropout has no effect at inference
            raise unsupported("head", module, SUPPORTED_HEADS)
    if not width:  # the head has no linear layer
        raise unsupported("head", head, SUPPORTED_HEADS)
    return value, width


def _lower_linear(build: GraphBuilder, linear: nn.Linear, value: ir.Value, name: str, *, by_step: bool) -> ir.Value:
    weight = linear.weight.detach().numpy()
    bias = None if linear.bias is None else build.weight(f"{name}/bias", linear.bias.detach().numpy())
    if not by_step:
        inputs = [value, build.weight(f"{name}/weight", weight), *([] if bias is None else [bias])]
        return build.node("Gemm", f"{name}/linear", inputs, {"transB": 1})
    product = build.node("MatMul", f"{name}/product", [value, build.weight(f"{name}/weight", weight.T)])
    return product if bias is None else build.node("Add", f"{name}/linear", [product, bias])


def lower_readout(
    build: GraphBuilder,
    readout: nn.Module,
    scores: ir.Value,
    shape: Sequence[str | int],
    lengths: Lengths | None,
    group: ir.Value | None,
) -> Sequence[ir.Value]:
    """Lower scores to the graph's outputs and return these, with names, types and shapes.

    Args:
        build: builder of the graph.
        readout: the model's readout.
        scores: the output of the head.
        shape: the shape of the scores; a name is a free size.
        lengths: the lengths of the sequences if each step is scored and the model takes lengths; else None.
        group: (batch, 1) id of the group of each sequence, for a readout with scales by group; else None.
    """
    if isinstance(readout, zoo.SoftmaxReadout):
        softmax = build.node("Softmax", "readout/softmax", [scores], {"axis": -1})
        return [_output(scores, "logits", shape), _output(softmax, "probabilities", shape)]
    if isinstance(readout, zoo.SigmoidReadout):
        other = build.node("Neg", "readout/other", [scores])
        both = build.node("Concat", "readout/both", [other, scores], {"axis": -1})
        sigmoid = build.node("Sigmoid", "readout/sigmoid", [both])
        return [_output(scores, "logits", shape), _output(sigmoid, "probabilities", [*shape[:-1], 2])]
    if isinstance(readout, zoo.RescaleReadout):
        return [_lower_rescale(build, readout, scores, shape, lengths, group)]
    raise unsupported("readout", readout, "a zoo.SoftmaxReadout, SigmoidReadout or RescaleReadout")


def _lower_rescale(
    build: GraphBuilder,
    readout: zoo.RescaleReadout,
    scores: ir.Value,
    shape: Sequence[str | int],
    lengths: Lengths | None,
    group: ir.Value | None,
) -> ir.Value:
    value = scores
    if group is not None and len(shape) + bool(readout.horizon) == 2:  # y has no axis for steps
        group = build.node("Squeeze", "group/of_sequence", [group, build.integers("group/axis", 1)])
    if readout.horizon:
        sizes = (readout.horizon, readout.factor.shape[-1])
        value = build.node("Reshape", "readout/by_step", [value, build.integers("readout/shape", -1, *sizes)])
        shape = ["batch", *sizes]
    factor, offset = (
        by_group(build, table, group, f"readout/{name}")
        for name, table in (("factor", readout.factor), ("offset", readout.offset))
    )
    numbers = build.node("Add", "readout/shift", [build.node("Mul", "readout/scale", [value, factor]), offset])
    if lengths is not None:
        numbers = lengths.zero_beyond(numbers, "readout/within_lengths")
    return _output(numbers, "y", shape)


def _output(value: ir.Value, name: str, shape: Sequence[str | int]) -> ir.Value:
    value.name = name
    value.type = ir.TensorType(ir.DataType.FLOAT)
    value.shape = ir.Shape(shape)
    return value
