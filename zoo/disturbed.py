"""Disturbed arithmetic: float64 in which every operation is off by as much as one rounding of a coarser precision.

This is Monte Carlo arithmetic (Parker 1997; Denis, de Oliveira Castro and Petit 2016, "Verificarlo"): the result of
every floating-point operation is multiplied by (1 + u * xi), xi uniform in [-1, 1] and u the unit roundoff of the
precision judged, and becomes infinite where that precision would overflow. How far an output moves by it is how far a
correct program of that precision may be off.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.parity import PRECISIONS


class DisturbedArithmetic(TorchDispatchMode):
    """While active, every float64 result that is computed, not merely moved, is off by up to one rounding.

    Args:
        precision: a key of `zoo.parity.PRECISIONS`: whose roundings and whose range.
        seed: of the disturbances.
    """

    # fmt: off
    MOVES = frozenset(
        {
            "_to_copy", "_unsafe_view", "cat", "clone", "constant_pad_nd", "copy", "expand_copy", "flip",
            "gather", "index", "index_copy", "index_put", "index_select", "lift_fresh", "masked_fill", "repeat",
            "roll", "scatter", "select_scatter", "slice_scatter", "stack", "tril", "triu", "unsafe_split",
            "unsafe_split_with_sizes", "where"
        }
        | {
            "abs", "amax", "amin", "clamp", "clamp_max", "clamp_min", "max", "maximum", "min", "minimum", "neg",
            "relu", "sign", "sort", "topk"
        }
        | {
            "arange", "empty", "empty_like", "eye", "fill", "full", "full_like", "new_empty", "new_full",
            "new_ones", "new_zeros", "ones", "ones_like", "scalar_tensor", "zero", "zeros", "zeros_like"
        }
    )
    # fmt: on
    """Operations that move numbers, choose among them or make constants, and so round nothing. Views are known by
    themselves; the form in place, such as ``relu_``, goes with the other."""

    def __init__(self, precision: str, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.unit_roundoff = PRECISIONS[precision].unit_roundoff
        # Times this, what the precision cannot hold is more than float64 can hold.
        self.lift = 2.0 ** (sys.float_info.max_exp - PRECISIONS[precision].max_exponent)
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.is_view or func._schema.name.removeprefix("aten::").removesuffix("_") in self.MOVES:
            return result
        in_place = func._schema.is_mutable
        if isinstance(result, tuple | list):
            return type(result)(self._disturb(part, in_place) for part in result)
        return self._disturb(result, in_place)

    def _disturb(self, result: Any, in_place: bool) -> Any:
        if not (isinstance(result, Tensor) and result.dtype == torch.float64):
            return result
        noise = torch.rand(result.shape, generator=self.generator, dtype=result.dtype)
        factor = noise.mul_(2 * self.unit_roundoff).add_(1 - self.unit_roundoff).mul_(self.lift)
        lifted = result.mul_(factor) if in_place else result * factor
        return lifted.mul_(1 / self.lift)  # powers of two: nothing is rounded on the way up and down
