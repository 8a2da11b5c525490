"""Weights of products: the constants that a file of lower precision stores in a smaller format."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from zoo_onnx.builder import EXACT

MOVES = frozenset({"Concat", "Flatten", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that rearrange numbers without arithmetic."""
WEIGHT_INPUTS = {"MatMul": (1,), "Gemm": (1,), "RNN": (1, 2), "LSTM": (1, 2), "GRU": (1, 2), "Gather": (0,)}
"""Indices of the inputs of an operator that are weights; of a Gather the table of an embedding."""


def weights_of_products(graph: ir.Graph) -> list[ir.Value]:
    """Return the float32 constants of two axes or more that products and look-ups read, directly or rearranged.

    The scales of groups are excluded, as scales are anywhere.
    """
    weights: dict[ir.Value, None] = {}
    for node in ir.traversal.RecursiveGraphIterator(graph):
        for index in WEIGHT_INPUTS.get(node.op_type, ()):
            weights.update(dict.fromkeys(_sources(node.inputs[index])))
    return list(weights)


def _sources(value: ir.Value | None) -> Iterator[ir.Value]:
    """Yield the float32 constants that a value is a rearrangement of."""
    node = None if value is None else value.producer()
    if node is not None and node.op_type in MOVES:
        for source in node.inputs:
            yield from _sources(source)
    elif value is not None and value.dtype == ir.DataType.FLOAT and value.const_value is not None:
        yield from [value] if value.const_value.shape.rank() > 1 and value.const_value.doc_string != EXACT else []
