"""Products in 8 bits, whose activations are quantised while the file runs ("dynamic"); all else stays in float32.

A weight W (n, m) that is constant becomes 8 bits, symmetric, with a scale for each column: W_q = 128 + round(W / s_w),
uint8, where s_w is the column's largest magnitude / 127. What it is multiplied with goes through DynamicQuantizeLinear,
uint8 over the range of the whole tensor. Both together:

    x W + c  =  Cast(MatMulInteger(x_q, W_q, zero point of x, 128)) * (s_x * s_w) + c

Uint8 with a zero point of 128, and not int8, because x86 processors without VNNI multiply uint8 with int8 by an
instruction that adds two neighbouring products up in 16 bits and cuts off what does not fit:
`zoo_onnx.precision.saturation`. No bit is lost by it: the steps of a weight are the same.

An LSTM node becomes ONNX Runtime's DynamicQuantizeLSTM. ONNX Runtime's own quantiser writes that with int8, or with
uint8 and one scale for all columns. It knows neither RNN nor GRU, and of the body of a Scan only those weights that are
a constant as they stand: of gates that are split off a matrix it quantises none, and the file grows (onnxruntime 1.31).
So all of it is written here.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnx_ir.passes.common import RemoveUnusedNodesPass

import zoo
from zoo_onnx.builder import GraphBuilder
from zoo_onnx.lengths import Lengths

Matrix = NDArray[np.float32]
MICROSOFT = "com.microsoft"
QUANTISED = frozenset({"MatMulInteger", "DynamicQuantizeLSTM"})
STEPS = 127
"""Of a weight, up to the largest magnitude of its column. `zoo.parity.WEIGHT_FORMATS` counts half of one as a
rounding."""
ZERO_POINT = 128
"""What a weight of 0 is kept as."""


def quantise(model: ir.Model) -> None:
    """Put the products of a model in 8 bits.

    Raises:
        ExportError: where a recurrent layer is one operator that has no form in 8 bits, or nothing can be quantised.
    """
    graph = model.graph
    for node in graph:
        if node.op_type in ("RNN", "GRU"):
            raise zoo.ExportError(
                f"--precision int8: ONNX Runtime has no {node.op_type} in 8 bits, so {node.name} would stay as it is; "
                "take --lowering scan, or leave --lowering out"
            )
    _zero_beyond_lengths(graph)
    products = _Products(graph)
    for node in list(ir.traversal.RecursiveGraphIterator(graph)):
        if node.op_type == "LSTM":
            _quantise_lstm(node, graph)
        else:
            products.quantise(node)
    RemoveUnusedNodesPass()(model)
    if not any(node.op_type in QUANTISED for node in ir.traversal.RecursiveGraphIterator(graph)):
        raise zoo.ExportError(
            "--precision int8: no product of the graph has a constant weight, so nothing can be quantised; leave it out"
        )


class _Products:
    """Puts products otherwise; each weight and each activation is quantised once."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self._constants: dict[ir.Value, NDArray[np.generic] | None] = {}
        self._weights: dict[tuple[tuple[int, ...], bytes], tuple[ir.Value, ir.Value]] = {}
        self._zero_point: ir.Value | None = None
        self._activations: dict[tuple[ir.Graph, ir.Value], list[ir.Value]] = {}

    def quantise(self, node: ir.Node) -> None:
        """Replace a node, where it is a product with a constant matrix; leave it where not."""
        found = self._weight(node)
        x = node.inputs[0] if node.inputs else None
        if found is None or x is None or self._constant(x) is not None:
            return
        where = node.graph
        assert isinstance(where, ir.Graph)
        weight, scale = found
        new: list[ir.Node] = []
        if (where, x) not in self._activations:
            names = (f"{x.name}/uint8", f"{x.name}/scale", f"{x.name}/zero_point")
            outputs = [ir.Value(name=name) for name in names]
            new.append(ir.node("DynamicQuantizeLinear", [x], outputs=outputs, name=names[0]))
            self._activations[where, x] = outputs  # for the products behind this one too
        whole, x_scale, zero = self._activations[where, x]
        product = _add(new, "MatMulInteger", f"{node.name}/integer", whole, weight, zero, self._weight_zero_point())
        floating = ir.Value(name=f"{node.name}/float")
        cast_to = {"to": int(ir.DataType.FLOAT)}
        new.append(ir.node("Cast", [product], cast_to, outputs=[floating], name=floating.name))
        scales = _add(new, "Mul", f"{node.name}/scales", x_scale, scale)
        value = _add(new, "Mul", f"{node.name}/scaled", floating, scales)
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            value = _add(new, "Add", f"{node.name}/add", value, node.inputs[2])
        ir.convenience.replace_nodes_and_values(where, node, [node], new, node.outputs, [value])

    def _weight(self, node: ir.Node) -> tuple[ir.Value, ir.Value] | None:
        """The matrix (n, m) that a node multiplies with, in 8 bits, and the scales of its columns, (m,)."""
        if node.op_type not in ("MatMul", "Gemm") or node.inputs[1] is None:
            return None
        turned = _flag(node, "transB")
        plain = node.attributes.get_float("alpha", 1.0) == node.attributes.get_float("beta", 1.0) == 1.0
        matrix = self._constant(node.inputs[1])
        if matrix is None or matrix.ndim != 2 or not plain or _flag(node, "transA"):
            return None
        by_column = np.asarray(matrix.T if turned else matrix, np.float32, order="C")
        key = (by_column.shape, by_column.tobytes())  # by its numbers: one weight may reach products in several ways
        if key not in self._weights:
            build, name = GraphBuilder(0), self._free(str(node.inputs[1].name))
            whole, scale = in_uint8(by_column)
            self._weights[key] = (build.weight(f"{name}/uint8", whole), build.weight(f"{name}/scales", scale))
            for value in self._weights[key]:
                self.graph.register_initializer(value)
        return self._weights[key]

    def _free(self, name: str) -> str:
        """The name of a weight, or with a number behind it where another form of that weight has it already."""
        number, free = 1, name
        while f"{free}/uint8" in self.graph.initializers:
            number += 1
            free = f"{name}/{number}"
        return free

    def _weight_zero_point(self) -> ir.Value:
        """That of every weight, ()."""
        if self._zero_point is None:
            self._zero_point = GraphBuilder(0).weight("weight_zero_point", np.array(ZERO_POINT, np.uint8))
            self.graph.register_initializer(self._zero_point)
        return self._zero_point

    def _constant(self, value: ir.Value) -> NDArray[np.generic] | None:
        """The numbers of a value that follows from constants alone."""
        if value not in self._constants:
            self._constants[value] = None if value.const_value is None else value.const_value.numpy()
            node = value.producer()
            if self._constants[value] is None and node is not None and all(one is not None for one in node.inputs):
                inputs = {str(one.name): self._constant(one) for one in node.inputs if one is not None}
                if inputs and all(array is not None for array in inputs.values()):
                    found = ReferenceEvaluator(ir.to_proto(node)).run(None, inputs)
                    self._constants |= {one: np.asarray(array) for one, array in zip(node.outputs, found, strict=True)}
        return self._constants[value]


def _flag(node: ir.Node, name: str) -> bool:
    attribute = node.attributes.get(name)
    return attribute is not None and bool(attribute.as_int())


def in_uint8(matrix: Matrix) -> tuple[NDArray[np.uint8], Matrix]:
    """(n, m) -> the same in 8 bits, 128 for 0, and the scale of each column, (m,)."""
    largest = np.abs(matrix).max(axis=0)
    scale = np.where(largest > 0, largest / np.float32(STEPS), np.float32(1)).astype(np.float32)
    steps = np.clip(np.rint(matrix / scale), -STEPS, STEPS)
    return (steps + ZERO_POINT).astype(np.uint8), scale


def _add(nodes: list[ir.Node], operator: str, name: str, *inputs: ir.Value) -> ir.Value:
    value = ir.Value(name=name)
    nodes.append(ir.node(operator, inputs, outputs=[value], name=name))
    return value


def _zero_beyond_lengths(graph: ir.Graph) -> None:
    """Set to zero what stands behind the ends of sequences, which would otherwise be part of the range."""
    inputs = {value.name: value for value in graph.inputs}
    if "lengths" not in inputs:
        return
    build = GraphBuilder(graph.opset_imports[""])
    first = next(node for node in graph if node.name == "to_time_major")
    steps = first.outputs[0]
    readers = tuple(steps.uses())
    lengths = Lengths(build, inputs["lengths"], inputs["x"])
    zeroed = lengths.zero_beyond(steps, "within_lengths", time_major=True)
    for node in build.nodes:  # the graph may have a mask of its own
        node.name = f"quantised/{node.name}"
        node.outputs[0].name = f"quantised/{node.outputs[0].name}"
    for value in build.initializers:
        value.name = f"quantised/{value.name}"
        graph.register_initializer(value)
    graph.insert_after(first, build.nodes)
    for reader, index in readers:
        reader.replace_input_with(index, zeroed)


def _quantise_lstm(node: ir.Node, graph: ir.Graph) -> None:
    """Put ONNX Runtime's DynamicQuantizeLSTM in place of an LSTM: the same inputs, weights turned, and their scales.

    W (directions, 4 hidden, n) becomes (directions, n, 4 hidden) in 8 bits, with scales (directions, 4 hidden).
    """
    build, inputs, quantisation = GraphBuilder(0), list(node.inputs), []
    inputs += [None] * (8 - len(inputs))
    for place, letter in ((1, "W"), (2, "R")):
        matrices = inputs[place]
        if matrices is None or matrices.const_value is None:
            return
        by_direction = [in_uint8(matrix.T) for matrix in matrices.const_value.numpy().astype(np.float32)]
        whole, scales = (np.stack(arrays) for arrays in zip(*by_direction, strict=True))
        name = f"{node.name}/{letter}"
        inputs[place] = build.weight(f"{name}/uint8", whole)
        quantisation.append(build.weight(f"{name}/scales", scales))
        quantisation.append(build.weight(f"{name}/zero_points", np.full(scales.shape, ZERO_POINT, np.uint8)))
    for value in build.initializers:
        graph.register_initializer(value)
    outputs = [ir.Value(name=value.name, type=value.type, shape=value.shape) for value in node.outputs]
    attributes = list(node.attributes.values())
    new = ir.Node(
        MICROSOFT, "DynamicQuantizeLSTM", [*inputs, *quantisation], attributes, outputs=outputs, name=node.name
    )
    ir.convenience.replace_nodes_and_values(graph, node, [node], [new], node.outputs, outputs)
    graph.opset_imports[MICROSOFT] = 1
