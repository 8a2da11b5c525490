"""Detection of 8-bit products that saturate on some processors.

MLAS, ONNX Runtime's matrix library, multiplies uint8 by int8 with VPMADDUBSW on x86 processors without VNNI
(QgemmU8S8KernelAvx2, QgemmU8S8KernelAvx512Core; PMADDUBSW with SSE 4.1). This instruction adds two products, adjacent
along the summed axis, in 16 bits with saturation (Intel, "Software Developer's Manual", volume 2). So 255 * 127 over 64
terms gives 1,048,544, not 2,072,640.

Uint8 by uint8 is computed differently there: both are widened to 16 bits, and VPMADDWD adds two products in 32 bits
(QgemmU8U8KernelAvx2, QgemmU8U8KernelAvx512Core), which two products of 255 * 255 are far from exceeding. VNNI's
VPDPBUSD and VPDPBUUD, AMX and Arm's UDOT and UMMLA add in 32 bits for either type.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

WEIGHTS = {"MatMulInteger": (1,), "DynamicQuantizeLSTM": (1, 2)}
"""Indices of the weights among the inputs of an operator with 8-bit products."""
ACTIVATION = 255
"""Largest activation, uint8."""


def saturating(graph: ir.Graph) -> Iterator[str]:
    """Yield the names of nodes that have a sum of two products beyond 16 bits for some activations."""
    for node in ir.traversal.RecursiveGraphIterator(graph):
        for index in WEIGHTS.get(node.op_type, ()):
            weight = node.inputs[index]
            if weight is not None and weight.const_value is not None and may_saturate(weight.const_value.numpy()):
                yield str(node.name)
                break


def may_saturate(weight: NDArray[np.generic]) -> bool:
    """Return whether two adjacent products of (…, n, m) with activations from 0 to 255 may add up beyond 16 bits.

    All adjacent pairs are checked; a processor adds every second one.
    """
    if weight.dtype != np.int8 or weight.ndim < 2:
        return False
    limits, numbers = np.iinfo(np.int16), weight.astype(np.int64)
    up, down = (part[..., :-1, :] + part[..., 1:, :] for part in (numbers.clip(min=0), numbers.clip(max=0)))
    return bool(ACTIVATION * up.max(initial=0) > limits.max or ACTIVATION * down.min(initial=0) < limits.min)
