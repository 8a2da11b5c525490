"""Products in 8 bits with dynamic quantisation of activations, at run time; all other arithmetic stays in float32.

A constant weight W (n, m) is quantised to 8 bits, symmetric, with a scale for each column: W_q = 128 + round(W / s_w),
uint8, where s_w is the column's largest magnitude / 127. The activation x is quantised by DynamicQuantizeLinear, uint8
over the range of the whole tensor. Together:

    x W + c  =  Cast(MatMulInteger(x_q, W_q, zero point of x, 128)) * (s_x * s_w) + c

The weights are uint8 with a zero point of 128, not int8, because x86 processors without VNNI add two adjacent products
of uint8 by int8 in 16 bits with saturation (`zoo_onnx.precision.saturation`). No accuracy is lost: the steps of a
weight are the same.

An LSTM node becomes ONNX Runtime's DynamicQuantizeLSTM. ONNX Runtime's own quantiser is not used: it writes this node
with int8, or with uint8 and one scale for all columns; it supports neither RNN nor GRU; and in the body of a Scan it
quantises only weights that are constants themselves, not gates split from a matrix, so that the file grows
(onnxruntime 1.31).
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
from zoo_onnx.piece import COMPUTED

Matrix = NDArray[np.float32]
MICROSOFT = "com.microsoft"
QUANTISED = frozenset({"MatMulInteger", "DynamicQuantizeLSTM"})
STEPS = 127
"""Steps of a weight up to the largest magnitude of its column. `zoo.parity.WEIGHT_FORMATS` counts half a step as a
rounding."""
ZERO_POINT = 128
"""Quantised value of a weight of 0."""


def quantise(model: ir.Model) -> None:
    """Quantise the products of a model to 8 bits.

    Raises:
        ExportError: if a recurrent layer is an operator without an 8-bit form, or if nothing can be quantised.
    """
    graph = model.graph
    for node in graph:
        if node.op_type in ("RNN", "GRU"):
            raise zoo.ExportError(
                f"precision int8: ONNX Runtime has no {node.op_type} in 8 bits, so {node.name} would stay float32; "
                "take the lowering scan, or leave lowering out"
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
            "precision int8: no product of the graph has a constant weight, so nothing can be quantised; leave it out"
        )


class _Products:
    """Quantiser of MatMul and Gemm nodes; each weight and each activation is quantised once."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self._constants: dict[ir.Value, NDArray[np.generic] | None] = {}
        self._weights: dict[tuple[tuple[int, ...], bytes], tuple[ir.Value, ir.Value]] = {}
        self._zero_point: ir.Value | None = None
        self._activations: dict[tuple[ir.Graph, ir.Value], list[ir.Value]] = {}

    def quantise(self, node: ir.Node) -> None:
        """Replace a node if it is a product with a constant matrix."""
        quantised = self._weight(node)
        x = node.inputs[0] if node.inputs else None
        if quantised is None or x is None or self._constant(x) is not None:
            return
        graph = node.graph
        assert isinstance(graph, ir.Graph)
        weight, scale = quantised
        new: list[ir.Node] = []
        if (graph, x) not in self._activations:
            names = (f"{x.name}/uint8", f"{x.name}/scale", f"{x.name}/zero_point")
            outputs = [ir.Value(name=name) for name in names]
            new.append(ir.node("DynamicQuantizeLinear", [x], outputs=outputs, name=names[0]))
            self._activations[graph, x] = outputs  # later products of x use them too
        whole, x_scale, zero = self._activations[graph, x]
        product = _add(new, "MatMulInteger", f"{node.name}/integer", whole, weight, zero, self._weight_zero_point())
        floating = _add(new, "Cast", f"{node.name}/float", product, to=int(ir.DataType.FLOAT))
        scales = _add(new, "Mul", f"{node.name}/scales", x_scale, scale)
        value = _add(new, "Mul", f"{node.name}/scaled", floating, scales)
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            value = _add(new, "Add", f"{node.name}/add", value, node.inputs[2])
        ir.convenience.replace_nodes_and_values(graph, node, [node], new, node.outputs, [value])

    def _weight(self, node: ir.Node) -> tuple[ir.Value, ir.Value] | None:
        """Return the constant matrix (n, m) of a product in 8 bits and its scales by column, (m,); None if none."""
        if node.op_type not in ("MatMul", "Gemm") or node.inputs[1] is None:
            return None
        plain = node.attributes.get_float("alpha", 1.0) == node.attributes.get_float("beta", 1.0) == 1.0
        matrix = self._constant(node.inputs[1])
        if matrix is None or matrix.ndim != 2 or not plain or node.attributes.get_int("transA", 0) != 0:
            return None
        transposed = node.attributes.get_int("transB", 0) != 0
        by_column = np.asarray(matrix.T if transposed else matrix, np.float32, order="C")
        key = (by_column.shape, by_column.tobytes())  # by content, since one weight may reach products in several ways
        if key not in self._weights:
            build, name = GraphBuilder(0), self._unused_name(str(node.inputs[1].name))
            whole, scale = in_uint8(by_column)
            description = COMPUTED if _is_computed(node.inputs[1]) else None
            in_8_bits = build.weight(f"{name}/uint8", whole, description)
            self._weights[key] = (in_8_bits, build.weight(f"{name}/scales", scale, description))
            for value in self._weights[key]:
                self.graph.register_initializer(value)
        return self._weights[key]

    def _unused_name(self, name: str) -> str:
        """Return the name of a weight, followed by a number if another form of the weight uses it already."""
        number, unused = 1, name
        while f"{unused}/uint8" in self.graph.initializers:
            number += 1
            unused = f"{name}/{number}"
        return unused

    def _weight_zero_point(self) -> ir.Value:
        """Return the zero point of every weight, a scalar."""
        if self._zero_point is None:
            self._zero_point = GraphBuilder(0).weight("weight_zero_point", np.array(ZERO_POINT, np.uint8))
            self.graph.register_initializer(self._zero_point)
        return self._zero_point

    def _constant(self, value: ir.Value) -> NDArray[np.generic] | None:
        """Return the array of a value that depends on constants alone, else None."""
        if value not in self._constants:
            self._constants[value] = None if value.const_value is None else value.const_value.numpy()
            node = value.producer()
            if (
                self._constants[value] is None
                and node is not None
                and all(source is not None for source in node.inputs)
            ):
                inputs = {str(source.name): self._constant(source) for source in node.inputs if source is not None}
                if inputs and all(array is not None for array in inputs.values()):
                    arrays = map(np.asarray, ReferenceEvaluator(ir.to_proto(node)).run(None, inputs))
                    self._constants |= dict(zip(node.outputs, arrays, strict=True))
        return self._constants[value]


def _is_computed(value: ir.Value) -> bool:
    """Return whether a constant depends on a weight that `zoo_onnx.folding` has computed."""
    waiting = [value]
    while waiting:
        source = waiting.pop()
        if source.const_value is not None and source.const_value.doc_string == COMPUTED:
            return True
        node = source.producer()
        waiting += [] if node is None else [each for each in node.inputs if each is not None]
    return False


def in_uint8(matrix: Matrix) -> tuple[NDArray[np.uint8], Matrix]:
    """Quantise a matrix (n, m) and return it, with 128 for 0, and the scale of each column, (m,)."""
    largest = np.abs(matrix).max(axis=0)
    scale = np.where(largest > 0, largest / np.float32(STEPS), np.float32(1)).astype(np.float32)
    steps = np.clip(np.rint(matrix / scale), -STEPS, STEPS)
    return (steps + ZERO_POINT).astype(np.uint8), scale


def _add(nodes: list[ir.Node], operator: str, name: str, *inputs: ir.Value, **attributes: int) -> ir.Value:
    """Append a node and return its output, which has the node's name."""
    value = ir.Value(name=name)
    nodes.append(ir.node(operator, inputs, attributes, outputs=[value], name=name))
    return value


def _zero_beyond_lengths(graph: ir.Graph) -> None:
    """Set the padding of sequences to zero, since it would be part of the range of a quantised activation."""
    inputs = {value.name: value for value in graph.inputs}
    if "lengths" not in inputs:
        return
    build = GraphBuilder(graph.opset_imports[""])
    first = next(node for node in graph if node.name == "to_time_major")
    steps = first.outputs[0]
    readers = tuple(steps.uses())
    lengths = Lengths(build, inputs["lengths"], inputs["x"])
    zeroed = lengths.zero_beyond(steps, "within_lengths", time_major=True)
    for node in build.nodes:  # distinct names, since the graph may have a mask of its own
        node.name = f"quantised/{node.name}"
        node.outputs[0].name = f"quantised/{node.outputs[0].name}"
    for value in build.initializers:
        value.name = f"quantised/{value.name}"
        graph.register_initializer(value)
    graph.insert_after(first, build.nodes)
    for reader, index in readers:
        reader.replace_input_with(index, zeroed)


def _quantise_lstm(node: ir.Node, graph: ir.Graph) -> None:
    """Replace an LSTM by ONNX Runtime's DynamicQuantizeLSTM: transposed 8-bit weights, and their scales as inputs.

    W (directions, 4 * hidden, n) becomes (directions, n, 4 * hidden), with scales (directions, 4 * hidden).
    """
    build, inputs, quantisation = GraphBuilder(0), list(node.inputs), []
    inputs += [None] * (8 - len(inputs))
    for index, letter in ((1, "W"), (2, "R")):
        matrices = inputs[index]
        if matrices is None or matrices.const_value is None:
            return
        by_direction = [in_uint8(matrix.T) for matrix in matrices.const_value.numpy().astype(np.float32)]
        whole, scales = (np.stack(arrays) for arrays in zip(*by_direction, strict=True))
        name = f"{node.name}/{letter}"
        inputs[index] = build.weight(f"{name}/uint8", whole)
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
