"""Which products of a file may be cut off on some processors.

MLAS, ONNX Runtime's library of products, multiplies uint8 with int8 by VPMADDUBSW on x86 processors without VNNI
(QgemmU8S8KernelAvx2, QgemmU8S8KernelAvx512Core; by PMADDUBSW with SSE 4.1). That adds two products, neighbours along
the axis that is summed up, to 16 bits with saturation (Intel, "Software Developer's Manual", volume 2). So 255 * 127
over 64 terms gives 1,048,544 in place of 2,072,640.

Uint8 with uint8 goes another way there: both become 16 bits, and VPMADDWD adds two products to 32 bits
(QgemmU8U8KernelAvx2, QgemmU8U8KernelAvx512Core), of which two of 255 * 255 are far from the end. VNNI's VPDPBUSD and
VPDPBUUD, AMX and Arm's UDOT and UMMLA add to 32 bits for either type.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

WEIGHTS = {"MatMulInteger": (1,), "DynamicQuantizeLSTM": (1, 2)}
"""Where a node with products in 8 bits has its weights."""
ACTIVATION = 255
"""The largest, uint8."""


def saturating(graph: ir.Graph) -> Iterator[str]:
    """The names of nodes, of which some activations make a product that does not fit into 16 bits."""
    for node in ir.traversal.RecursiveGraphIterator(graph):
        for place in WEIGHTS.get(node.op_type, ()):
            weight = node.inputs[place]
            if weight is not None and weight.const_value is not None and may_saturate(weight.const_value.numpy()):
                yield str(node.name)
                break


def may_saturate(weight: NDArray[np.generic]) -> bool:
    """Whether two neighbouring products of (…, n, m) with activations of 0 to 255 may add up beyond 16 bits.

    It goes by every pair of neighbours; a processor adds up every second one.
    """
    if weight.dtype != np.int8 or weight.ndim < 2:
        return False
    limits, numbers = np.iinfo(np.int16), weight.astype(np.int64)
    up, down = (part[..., :-1, :] + part[..., 1:, :] for part in (numbers.clip(min=0), numbers.clip(max=0)))
    return bool(ACTIVATION * up.max(initial=0) > limits.max or ACTIVATION * down.min(initial=0) < limits.min)
