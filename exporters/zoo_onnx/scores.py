"""Lowering of the head, from features to scores, and of the readout, from scores to the graph's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
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
    if isinstance(readout, zoo.MultilabelReadout):
        sigmoid = build.node("Sigmoid", "readout/sigmoid", [scores])
        return [_output(scores, "logits", shape), _output(sigmoid, "probabilities", shape)]
    if isinstance(readout, zoo.RescaleReadout):
        if group is not None and len(shape) + bool(readout.horizon) == 2:  # y has no axis for steps
            group = build.node("Squeeze", "group/of_sequence", [group, build.integers("group/axis", 1)])
        scales = _Scales(
            *(
                by_group(build, table, group, f"readout/{name}")
                for name, table in (("factor", readout.factor), ("offset", readout.offset))
            )
        )
        return [
            _lower_rescaled(build, readout, number, shape, lengths, scales)
            for number in _scaled_numbers(build, readout, scores)
        ]
    raise unsupported(
        "readout",
        readout,
        "a zoo.SoftmaxReadout, SigmoidReadout, MultilabelReadout, RescaleReadout or one of its kinds",
    )


class _Number(NamedTuple):
    """A number that a readout gives for each target."""

    name: str
    """Name of the output."""
    node: str
    """Part of the names of its nodes; empty for ``y``."""
    value: ir.Value
    """In scaled units."""
    shifted: bool = True
    """Whether the offset of the scale is added."""


class _Scales(NamedTuple):
    """Scale of the targets, or of those of each sequence's group."""

    factor: ir.Value
    offset: ir.Value


def _scaled_numbers(build: GraphBuilder, readout: zoo.RescaleReadout, scores: ir.Value) -> Sequence[_Number]:
    """Return the numbers of a readout before they are rescaled, the output ``y`` first."""
    if isinstance(readout, zoo.RateReadout):
        return [_Number("y", "", build.node("Exp", "readout/rate", [scores]), shifted=False)]
    if isinstance(readout, zoo.SpreadReadout):
        means, raw = _split(build, scores, ["means", "spreads"])
        positive = build.node("Softplus", "readout/spread/softplus", [raw])
        least = build.weight("readout/spread/least", np.array(readout.least, np.float32))
        spread = build.node("Add", "readout/spread/above", [positive, least])
        return [_Number("y", "", means), _Number("spread", "spread", spread, shifted=False)]
    if isinstance(readout, zoo.QuantileReadout):
        return _quantiles(build, readout, scores)
    return [_Number("y", "", scores)]


def _quantiles(build: GraphBuilder, readout: zoo.QuantileReadout, scores: ir.Value) -> Sequence[_Number]:
    """Return the quantiles, each moved away from the median as far as they would cross; see `zoo.QuantileReadout`."""
    names = readout.names
    rows, median = list(_split(build, scores, names)), names.index("y")
    for index in range(median + 1, len(names)):
        rows[index] = build.node("Max", f"readout/{names[index]}/above", [rows[index], rows[index - 1]])
    for index in range(median - 1, -1, -1):
        rows[index] = build.node("Min", f"readout/{names[index]}/below", [rows[index], rows[index + 1]])
    others = [_Number(name, name, row) for name, row in zip(names, rows, strict=True) if name != "y"]
    return [_Number("y", "", rows[median]), *others]


def _split(build: GraphBuilder, scores: ir.Value, names: Sequence[str]) -> Sequence[ir.Value]:
    """Split scores on the last axis into equal parts."""
    outputs = [f"readout/split/{name}" for name in names]
    attributes: dict[str, int] = {"axis": -1}
    if build.opset >= 18:  # required since, and unknown before
        attributes["num_outputs"] = len(names)
    return build.node_with_outputs("Split", "readout/split", [scores], outputs, attributes)


def _lower_rescaled(
    build: GraphBuilder,
    readout: zoo.RescaleReadout,
    number: _Number,
    shape: Sequence[str | int],
    lengths: Lengths | None,
    scales: _Scales,
) -> ir.Value:
    """Lower a scaled number to an output in the user's units."""
    targets = readout.factor.shape[-1]
    value, prefix = number.value, f"readout/{number.node}" if number.node else "readout"
    sizes: Sequence[str | int] = [*shape[:-1], targets]
    if readout.horizon:
        steps = (readout.horizon, targets)
        value = build.node("Reshape", f"{prefix}/by_step", [value, build.integers("readout/shape", -1, *steps)])
        sizes = ["batch", *steps]
    value = build.node("Mul", f"{prefix}/scale", [value, scales.factor])
    if number.shifted:
        value = build.node("Add", f"{prefix}/shift", [value, scales.offset])
    if lengths is not None:
        value = lengths.zero_beyond(value, f"{prefix}/within_lengths")
    return _output(value, number.name, sizes)


def _output(value: ir.Value, name: str, shape: Sequence[str | int]) -> ir.Value:
    value.name = name
    value.type = ir.TensorType(ir.DataType.FLOAT)
    value.shape = ir.Shape(shape)
    return value
