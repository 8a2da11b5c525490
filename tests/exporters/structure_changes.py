"""Changes of ONNX files, one of each kind, with the difference that must be reported for each."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

import zoo
from tests.exporters.weight_cells import Orthonormal
from tests.support.models import make_model, model_of, write
from zoo_onnx.structure import differences


def _orthonormal() -> zoo.Model:
    torch.manual_seed(0)
    return model_of(Orthonormal)


SUBJECTS: dict[str, Callable[[Path], Path]] = {
    "native": lambda folder: write(make_model("lstm", takes_lengths=True), folder),
    "equations": lambda folder: write(make_model("lstm"), folder, lowering="scan"),
    "traced": lambda folder: write(
        make_model("mgu", takes_lengths=True, direction="bidirectional", pooling="mean"), folder
    ),
    "unrolled": lambda folder: write(make_model("mgu"), folder, lowering="unrolled", steps=3),
    "int8": lambda folder: write(make_model("mgu", hidden_size=32), folder, precision="int8"),
    "computed": lambda folder: write(_orthonormal(), folder),
}


@cache
def content(subject: str) -> bytes:
    with TemporaryDirectory() as folder:
        return SUBJECTS[subject](Path(folder)).read_bytes()


def load(subject: str) -> ModelProto:
    return onnx.load_from_string(content(subject))


def changed(subject: str, change: Callable[[ModelProto], object]) -> list[zoo.Difference]:
    """Return the differences of a changed file from the file itself."""
    model = load(subject)
    change(model)
    return differences(model, load(subject))


def node_of(model: ModelProto, name: str, *, within: str | None = None) -> NodeProto:
    nodes = model.graph.node if within is None else body(model, within).node
    node: NodeProto
    (node,) = [node for node in nodes if node.name == name]
    return node


def body(model: ModelProto, scan: str) -> GraphProto:
    graph: GraphProto = next(a.g for a in node_of(model, scan).attribute if a.name == "body")
    return graph


def first(graph: GraphProto, operator: str) -> NodeProto:
    node: NodeProto = next(node for node in graph.node if node.op_type == operator)
    return node


def weight(model: ModelProto, name: str) -> TensorProto:
    tensor: TensorProto
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == name]
    return tensor


def set_weight(tensor: TensorProto, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    description = tensor.doc_string
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    tensor.doc_string = description


def flip(tensor: TensorProto, byte: int) -> None:
    raw = bytearray(tensor.raw_data)
    raw[byte] ^= 1
    tensor.raw_data = bytes(raw)


def _minus_zero(model: ModelProto) -> None:
    tensor = weight(model, "encoder/mean")
    set_weight(tensor, -np.zeros(8, np.float32))


def _twice(model: ModelProto) -> None:
    copy = NodeProto.FromString(node_of(model, "encoder/subtract_mean").SerializeToString())
    copy.output[:] = ["again"]
    model.graph.node.append(copy)


def _without_softmax(model: ModelProto) -> None:
    model.graph.node.remove(node_of(model, "readout/softmax"))


def _swap(values: Any, first: int, second: int) -> None:
    """Exchange two declared values of a list."""
    copies = [onnx.ValueInfoProto.FromString(values[index].SerializeToString()) for index in (second, first)]
    values[first].CopyFrom(copies[0])
    values[second].CopyFrom(copies[1])


SCAN, FORWARD = "layer_0/lstm", "layer_0/mgu/forward"
CHANGES: dict[str, tuple[str, Callable[[ModelProto], object], str, str]] = {
    "operator": (
        "native",
        lambda m: setattr(node_of(m, "encoder/subtract_mean"), "op_type", "Add"),
        "encoder/subtract_mean",
        "operator Add, a fresh export has Sub",
    ),
    "domain": (
        "native",
        lambda m: setattr(node_of(m, "readout/softmax"), "domain", "com.microsoft"),
        "readout/softmax",
        "operator com.microsoft.Softmax, a fresh export has Softmax",
    ),
    "attribute": (
        "native",
        lambda m: node_of(m, "layer_0/lstm").attribute.append(helper.make_attribute("clip", 50.0)),
        "layer_0/lstm",
        "attribute clip: 50.0, a fresh export has none",
    ),
    "attribute value": (
        "native",
        lambda m: setattr(node_of(m, "readout/softmax").attribute[0], "i", 0),
        "readout/softmax",
        "attribute axis: 0, a fresh export has -1",
    ),
    "wiring": (
        "native",
        lambda m: node_of(m, "encoder/divide_by_std").input.__setitem__(0, "x"),
        "encoder/divide_by_std",
        "input A comes from the input x, a fresh export has the node encoder/subtract_mean",
    ),
    "another weight": (
        "native",
        lambda m: node_of(m, "encoder/divide_by_std").input.__setitem__(1, "encoder/mean"),
        "encoder/divide_by_std",
        "input B comes from encoder/mean, a fresh export has encoder/std",
    ),
    "input left out": (
        "native",
        lambda m: node_of(m, "layer_0/lstm").input.__setitem__(4, ""),
        "layer_0/lstm",
        "input sequence_lens is left out, in a fresh export it is given",
    ),
    "output left out": (
        "native",
        lambda m: node_of(m, "layer_0/lstm").output.append("cell state"),
        "layer_0/lstm",
        "gives the outputs ",
    ),
    "node that nothing reads": (
        "native",
        lambda m: m.graph.node.append(helper.make_node("Identity", ["x"], ["unread"], "unread")),
        "unread",
        "is not in a fresh export",
    ),
    "node twice": ("native", _twice, "encoder/subtract_mean", "occurs 2 times, a fresh export has it 1 times"),
    "node missing": ("native", _without_softmax, "readout/softmax", "is missing, a fresh export has it"),
    "weight": (
        "native",
        lambda m: flip(weight(m, "head/weight"), 4),
        "head/weight",
        "differs in 1 of 50 numbers, the most by ",
    ),
    "weight, sign of zero": ("native", _minus_zero, "encoder/mean", "differs in "),
    "weight, type": (
        "native",
        lambda m: set_weight(weight(m, "head/bias"), np.zeros(10)),
        "head/bias",
        "is float64 (10,), a fresh export has float32 (10,)",
    ),
    "weight that nothing reads": (
        "native",
        lambda m: m.graph.initializer.append(numpy_helper.from_array(np.zeros(3, np.float32), "unread")),
        "unread",
        "is not in a fresh export",
    ),
    "weight missing": (
        "native",
        lambda m: m.graph.initializer.remove(weight(m, "head/bias")),
        "head/bias",
        "is missing, a fresh export has it",
    ),
    "declared output": (
        "native",
        lambda m: setattr(m.graph.output[0].type.tensor_type.shape.dim[1], "dim_value", 11),
        "logits",
        "output is declared as float (batch, 11), a fresh export has float (batch, 10)",
    ),
    "declared input": (
        "native",
        lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 4),
        "x",
        "input is declared as float (4, time, 8), a fresh export has float (batch, time, 8)",
    ),
    "declared inside": (
        "native",
        lambda m: m.graph.value_info.append(helper.make_tensor_value_info("to_time_major:0", 1, [28, 1, 8])),
        "to_time_major:0",
        "is declared as float (28, 1, 8), a fresh export has nothing",
    ),
    "order of outputs": (
        "native",
        lambda m: _swap(m.graph.output, 0, 1),
        "graph",
        "its outputs are probabilities, logits, a fresh export has logits, probabilities",
    ),
    "output name": (
        "native",
        lambda m: setattr(m.graph.output[0], "name", "scores"),
        "scores",
        "output is not in a fresh export",
    ),
    "opset": (
        "native",
        lambda m: setattr(m.opset_import[0], "version", 21),
        "file",
        "opset of ONNX is '21', a fresh export has '20'",
    ),
    "second opset": (
        "native",
        lambda m: m.opset_import.append(helper.make_opsetid("com.microsoft", 1)),
        "file",
        "opset of com.microsoft is '1', a fresh export has 'none'",
    ),
    "ir version": ("native", lambda m: setattr(m, "ir_version", 10), "file", "ir_version is '10'"),
    "documentation": (
        "native",
        lambda m: setattr(m, "doc_string", "Inputs: any."),
        "file",
        "doc_string is 'Inputs: any.'",
    ),
    "producer": ("native", lambda m: setattr(m, "producer_name", "other"), "file", "producer_name is 'other'"),
    "function": (
        "native",
        lambda m: m.functions.append(helper.make_function("", "Softmax", ["a"], ["a"], [], m.opset_import)),
        "file",
        "functions is '1 (",
    ),
    "sparse weight": (
        "native",
        lambda m: m.graph.sparse_initializer.add(),
        "file",
        "sparse initialisers is '1 (",
    ),
    "quantisation": (
        "native",
        lambda m: m.graph.quantization_annotation.add(tensor_name="x"),
        "file",
        "further parts of the graph is 'quantization_annotation (",
    ),
    "in a body: operator": (
        "equations",
        lambda m: setattr(first(body(m, SCAN), "Tanh"), "op_type", "Relu"),
        "layer_0/lstm/step/candidate",
        "operator Relu, a fresh export has Tanh",
    ),
    "in a body: attribute": (
        "equations",
        lambda m: node_of(m, "layer_0/lstm/step/product_o", within=SCAN).attribute.append(
            helper.make_attribute("alpha", 1.5)
        ),
        "layer_0/lstm/step/product_o",
        "attribute alpha: 1.5, a fresh export has none",
    ),
    "in a body: wiring": (
        "equations",
        lambda m: node_of(m, "layer_0/lstm/step/kept", within=SCAN).input.__setitem__(0, "layer_0/lstm/step/i"),
        "layer_0/lstm/step/kept",
        "input A comes from layer_0/lstm/step/i, a fresh export has layer_0/lstm/step/f",
    ),
    "in a body: weight of another gate": (
        "equations",
        lambda m: node_of(m, "layer_0/lstm/step/product_i", within=SCAN).input.__setitem__(
            1, node_of(m, "layer_0/lstm/step/product_f", within=SCAN).input[1]
        ),
        "layer_0/lstm/step/product_i",
        "input B comes from ",
    ),
    "in a body: order of outputs": (
        "equations",
        lambda m: _swap(body(m, SCAN).output, 0, 1),
        "layer_0/lstm",
        "output 0 of its body comes from layer_0/lstm/step/c_next, a fresh export has layer_0/lstm/step/h_next",
    ),
    "in a body: order of inputs": (
        "equations",
        lambda m: _swap(body(m, SCAN).input, 0, 1),
        "layer_0/lstm",
        "the inputs of its body are ",
    ),
    "in a body: node that nothing reads": (
        "equations",
        lambda m: body(m, SCAN).node.append(helper.make_node("Identity", ["layer_0/lstm/step/i"], ["u"], "unread")),
        "unread",
        "is not in a fresh export",
    ),
    "in a body: declared": (
        "equations",
        lambda m: setattr(body(m, SCAN).input[0].type.tensor_type.shape.dim[1], "dim_value", 6),
        "layer_0/lstm",
        "input 0 of its body is declared as float (batch, 6), a fresh export has float (batch, 5)",
    ),
    "direction of a loop": (
        "traced",
        lambda m: next(a for a in node_of(m, FORWARD).attribute if a.name == "scan_input_directions").ints.__setitem__(
            0, 1
        ),
        FORWARD,
        "attribute scan_input_directions: [1, 0, 0], a fresh export has [0, 0, 0]",
    ),
    "traced: operator": (
        "traced",
        lambda m: setattr(first(body(m, FORWARD), "Tanh"), "op_type", "Relu"),
        "layer_0/mgu/forward/step/tanh",
        "operator Relu, a fresh export has Tanh",
    ),
    "traced: number": (
        "traced",
        lambda m: set_weight(weight(m, "layer_0/mgu/forward/step/scalar_tensor_default"), np.array(2, np.float32)),
        "layer_0/mgu/forward/step/scalar_tensor_default",
        "is 2, a fresh export has 1",
    ),
    "traced: weight": (
        "traced",
        lambda m: flip(weight(m, "stack.layers.0.cells.1.forget.weight"), 0),
        "stack.layers.0.cells.1.forget.weight",
        "differs in 1 of 25 numbers, the most by ",
    ),
    "unrolled: wiring": (
        "unrolled",
        lambda m: node_of(m, "layer_0/mgu/step_2/x_0").input.__setitem__(1, "layer_0/mgu/step_1/index"),
        "layer_0/mgu/step_2/x_0",
        "input indices comes from layer_0/mgu/step_1/index, a fresh export has layer_0/mgu/step_2/index",
    ),
    "int8: zero point": (
        "int8",
        lambda m: set_weight(weight(m, "weight_zero_point"), np.array(127, np.uint8)),
        "weight_zero_point",
        "is 127, a fresh export has 128",
    ),
}
"""Subject, change, the name that the difference must have, and what it must state."""
TRACED = {"direction of a loop", "traced: operator", "traced: number", "unrolled: wiring"}
"""Changes of what torch.onnx traced, which another version of it may write differently; no weight is among them."""
