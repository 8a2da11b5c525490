"""Check of 8-bit products: this machine's results against exact ones, since the fault may be the CPU's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

import zoo
from zoo_onnx.precision.saturation import ACTIVATION, WEIGHTS
from zoo_onnx.structure.graphs import between, body_of

HINTS = {
    "int8": "without VNNI an x86 CPU adds two of them in 16 bits, with saturation; export the run again, since this "
    "version's weights are exact on any CPU",
    "uint8": "a fault of ONNX Runtime, which should add them in 32 bits",
}
"""Cause and remedy of wrong products, by the type of the weight."""
COLUMNS = 32
"""Number of columns of a weight to check, those with the largest sums of products."""


def wrong_products(file: ModelProto, bad: str, good: Collection[str]) -> list[zoo.Difference]:
    """Return the nodes whose products are wrong on this machine; see `zoo.Dissection.wrong_products`."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in file.graph.initializer}
    wrong = []
    for node in between(file.graph, bad, good):
        wrong += list(_wrong_nodes([node], constants, None))
        if (body := body_of(node)) is not None:
            wrong += list(_wrong_nodes(body.node, constants, node.name))
    return wrong


def _wrong_nodes(
    nodes: Iterable[NodeProto], constants: dict[str, NDArray[Any]], scan: str | None
) -> Iterator[zoo.Difference]:
    """Yield the nodes with a wrong product; ``scan`` names the loop whose body they are in."""
    for node in nodes:
        weights = [constants.get(node.input[index]) for index in WEIGHTS.get(node.op_type, ())]
        for weight in weights:
            if weight is None or weight.ndim < 2 or weight.dtype.name not in HINTS:
                continue
            matrices = weight if weight.ndim == 3 else weight[None]  # an LSTM has one for each direction
            if what := next(filter(None, map(_wrong_product, matrices)), None):
                yield zoo.Difference(node.name, node.op_type, what, scan)
                break


def _wrong_product(weight: NDArray[Any]) -> str | None:
    """Return the first wrong product of a weight (n, m) with test activations (rows, n), or None if all are exact."""
    x = _activations(weight)
    exact = x.astype(np.int64) @ weight.astype(np.int64)
    for rows in (slice(0, 1), slice(None)):  # ONNX Runtime has a separate kernel for one row
        product = multiply(x[rows], weight)
        if (positions := np.argwhere(product != exact[rows])).size:
            row, column = positions[0]
            numbers = f"{product[row, column]:,} in place of {exact[row, column]:,}"
            return f"this CPU gives {numbers} for products of uint8 with {weight.dtype}: {HINTS[weight.dtype.name]}"
    return None


def _activations(weight: NDArray[Any]) -> NDArray[np.uint8]:
    """Return test activations (rows, n): all largest, then largest where a column's weights have one sign, else 0."""
    centred = weight.astype(np.int64) - (0 if weight.dtype.kind == "i" else 128)
    largest = np.argsort(-np.abs(centred).sum(0), kind="stable")[:COLUMNS]
    signs = centred[:, largest].T
    return (np.concatenate([np.ones_like(signs[:1]), signs > 0, signs < 0]) * ACTIVATION).astype(np.uint8)


def multiply(x: NDArray[np.uint8], weight: NDArray[Any]) -> NDArray[np.int32]:
    """Return the product of activations (rows, n), uint8, and a weight (n, m), as ONNX Runtime computes it here."""
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "weight"], ["product"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [None, len(weight)])],
        [helper.make_tensor_value_info("product", TensorProto.INT32, [None, weight.shape[1]])],
        [numpy_helper.from_array(np.ascontiguousarray(weight), "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (product,) = session.run(None, {"x": x})
    return np.asarray(product)
