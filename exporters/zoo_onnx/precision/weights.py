"""Which constants of a graph are weights of products: what a file of lower precision keeps in a smaller format."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

MOVES = frozenset({"Concat", "Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that move numbers and make none."""
PLACES = {"MatMul": (1,), "Gemm": (1,), "RNN": (1, 2), "LSTM": (1, 2), "GRU": (1, 2), "Gather": (0,)}
"""Where a node has its weights. Of a Gather they are the table that tokens look into."""


def weights_of_products(graph: ir.Graph) -> list[ir.Value]:
    """The float32 constants of at least two axes that products and look-ups read, as they are or moved about only."""
    found: dict[ir.Value, None] = {}
    for node in ir.traversal.RecursiveGraphIterator(graph):
        for place in PLACES.get(node.op_type, ()):
            found.update(dict.fromkeys(_sources(node.inputs[place])))
    return list(found)


def _sources(value: ir.Value | None) -> Iterator[ir.Value]:
    node = None if value is None else value.producer()
    if node is not None and node.op_type in MOVES:
        for one in node.inputs:
            yield from _sources(one)
    elif value is not None and value.dtype == ir.DataType.FLOAT and value.const_value is not None:
        yield from [value] if value.const_value.shape.rank() > 1 else []
