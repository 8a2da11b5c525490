"""Operations that consist of others, whose roundings the disturbed arithmetic must see.

A normalisation subtracts numbers that nearly cancel, and attention amplifies the rounding of its scores. A single
rounding of their results would hide that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

FUSED = (
    "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "_scaled_dot_product_flash_attention_for_cpu",
    "addcdiv", "addcmul", "glu", "grid_sampler_2d", "lerp", "logaddexp", "logsumexp", "native_batch_norm",
    "native_group_norm", "std", "upsample_bicubic2d", "upsample_bilinear2d", "upsample_linear1d"
)  # fmt: skip
"""Operations for which torch has a decomposition."""


@cache
def decomposition(func: Any) -> Callable[..., Any] | None:
    """Return a function that computes an operation in several others; None for one that is computed as a whole."""
    name = func._schema.name.removeprefix("aten::")
    if name == "native_layer_norm":
        return _layer_norm
    if name not in FUSED:
        return None
    from torch._decomp import get_decompositions

    parts: Callable[..., Any] | None = get_decompositions([getattr(torch.ops.aten, name)]).get(func)
    return parts


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute torch's native_layer_norm, much faster than torch's own decomposition."""
    axes = list(range(-len(shape), 0))
    mean = x.mean(axes, keepdim=True)
    centred = x - mean
    scale = ((centred * centred).mean(axes, keepdim=True) + eps).rsqrt()
    result = centred * scale
    result = result if weight is None else result * weight
    return result if bias is None else result + bias, mean, scale
