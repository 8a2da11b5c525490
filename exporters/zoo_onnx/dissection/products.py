"""Products in 8 bits as this machine computes them, held against exact ones: a file may be right and its CPU not."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

import zoo
from zoo_onnx.dissection.probe import body_of
from zoo_onnx.dissection.suspects import between
from zoo_onnx.precision.saturation import ACTIVATION, WEIGHTS

HINTS = {
    "int8": "without VNNI an x86 CPU cuts off what is beyond 16 bits; export the run again, since this version's "
    "weights are exact on any CPU",
    "uint8": "ONNX Runtime is to blame, which should add them up in 32 bits",
}
COLUMNS = 32
"""Of a weight; those whose products add up to most."""


def wrong_products(file: ModelProto, bad: str, good: Collection[str]) -> list[zoo.Difference]:
    """The nodes whose products are wrong here; see `zoo.Dissection.wrong_products`."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in file.graph.initializer}
    wrong = []
    for node in between(file.graph, bad, good):
        piece = helper.make_graph([node], "one", [], [])
        wrong += list(_of_graph(piece, constants, None))
        if (body := body_of(node)) is not None:
            wrong += list(_of_graph(body, constants, node.name))
    return wrong


def _of_graph(graph: GraphProto, constants: dict[str, NDArray[Any]], scan: str | None) -> Iterator[zoo.Difference]:
    for node in graph.node:
        weights = [constants.get(node.input[place]) for place in WEIGHTS.get(node.op_type, ())]
        for weight in weights:
            if weight is None or weight.ndim < 2 or weight.dtype.name not in HINTS:
                continue
            matrices = weight if weight.ndim == 3 else weight[None]  # an LSTM has one for each direction
            wrong = next((what for matrix in matrices if (what := _wrong(matrix))), None)
            if wrong:
                yield zoo.Difference(node.name, node.op_type, wrong, scan)
                break


def _wrong(weight: NDArray[Any]) -> str | None:
    """How the products of a weight (n, m) with some activations (rows, n) are wrong here; None where they are exact."""
    x = _activations(weight)
    exact = x.astype(np.int64) @ weight.astype(np.int64)
    for rows in (slice(0, 1), slice(None)):  # of one row ONNX Runtime has a kernel of its own
        product = multiply(x[rows], weight)
        if (places := np.argwhere(product != exact[rows])).size:
            row, column = places[0]
            numbers = f"{product[row, column]:,} in place of {exact[row, column]:,}"
            return f"this CPU gives {numbers} for products of uint8 with {weight.dtype}: {HINTS[weight.dtype.name]}"
    return None


def _activations(weight: NDArray[Any]) -> NDArray[np.uint8]:
    """(rows, n): as large as can be; then so where the weights of some column are positive, and where negative."""
    centred = weight.astype(np.int64) - (0 if weight.dtype.kind == "i" else 128)
    largest = np.argsort(-np.abs(centred).sum(0), kind="stable")[:COLUMNS]
    signs = centred[:, largest].T
    return (np.concatenate([np.ones_like(signs[:1]), signs > 0, signs < 0]) * ACTIVATION).astype(np.uint8)


def multiply(x: NDArray[np.uint8], weight: NDArray[Any]) -> NDArray[np.int32]:
    """(rows, n) with (n, m), uint8 and either type, as ONNX Runtime computes it here."""
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
