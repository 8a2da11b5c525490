"""Weights in float16 or bfloat16; all arithmetic stays in float32.

Each weight of a product is stored in the half format and read through a Cast, which a runtime computes once, when it
loads the file. Products stay in float32: on the CPU ONNX Runtime 1.31 has none in bfloat16, and computes those in
float16 in float32. RNN, LSTM and GRU have one type for all tensors, so the state would be in the half format too.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

import zoo
from zoo_onnx.precision.weights import weights_of_products

FORMATS = {"float16": ir.DataType.FLOAT16.numpy(), "bfloat16": ir.DataType.BFLOAT16.numpy()}


def keep_in_half(graph: ir.Graph, precision: str) -> None:
    """Store the weights of a graph's products in a half format.

    Raises:
        ExportError: if a weight, which the message names, is out of the format's range, or if there is no weight.
    """
    weights = weights_of_products(graph)
    if not weights:
        raise zoo.ExportError(f"precision: the graph has no weight that could be kept in {precision}; leave it out")
    casts = []
    for weight in weights:
        assert weight.const_value is not None
        full = weight.const_value.numpy()
        with np.errstate(over="ignore"):
            half = full.astype(FORMATS[precision])
        if not np.isfinite(half.astype(np.float32)).all():
            raise zoo.ExportError(
                f"{weight.name}: its largest number, {np.abs(full).max():.3g}, is out of the range of {precision}; "
                "take another precision, or train with weight decay"
            )
        value = ir.Value(name=f"{weight.name}/float32", type=weight.type, shape=weight.shape)
        weight.replace_all_uses_with(value)
        casts.append(ir.node("Cast", [weight], {"to": int(ir.DataType.FLOAT)}, outputs=[value], name=value.name))
        weight.const_value = ir.tensor(half, name=weight.name, doc_string=weight.const_value.doc_string)
        weight.type = ir.TensorType(weight.const_value.dtype)
    graph.insert_before(graph[0], casts)
