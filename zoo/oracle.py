"""The oracle: what a model computes exactly, and how sensitive that is to rounding.

The exact result is the model in float64, in the cells' own steps (a fused kernel hides its operations). The sensitivity
is measured by Monte Carlo arithmetic (Parker 1997; Denis, de Oliveira Castro and Petit 2016, "Verificarlo"): the result
of every floating-point operation is multiplied by (1 + u * xi), xi uniform in [-1, 1] and u the unit roundoff of the
precision judged, becomes infinite where that precision would overflow, and the spread of the output is observed.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.model import Model
from zoo.parity import PRECISIONS, Array, Expected

DRAWS = 10
"""With five, one of 200 correct models near chaos was called wrong, at 1.5 times its budget; with ten none of 400."""


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


class Oracle:
    """Gives the exact outputs of a model and their sensitivities.

    Args:
        model: a trained model; it is copied.
    """

    def __init__(self, model: Model) -> None:
        self.model = copy.deepcopy(model).cpu().double().eval()
        for layer in self.model.layers():
            layer.fused = False

    @torch.no_grad()  # inference mode would hand composite operations over whole
    def expect(
        self,
        x: Array,
        precision: str = "float32",
        lengths: Array | None = None,
        states: Mapping[str, Array] | None = None,
    ) -> Mapping[str, Expected]:
        """What each output should be, and with which budget, by output name.

        Args:
            x: (batch, time, features) numbers or (batch, time) tokens.
            precision: a key of `zoo.parity.PRECISIONS`.
            lengths: (batch,) valid steps of each sequence; None where all are full.
            states: what the layers start with, as `zoo.Model.outputs` takes it; floating ones are taken as exact.
        """
        exact = self._run(x, lengths, states)
        # The draws stand below each other in one batch: rows are independent, so each has disturbances of its own.
        with DisturbedArithmetic(precision, seed=0):
            disturbed = self._run(
                np.concatenate([x] * DRAWS),
                None if lengths is None else np.tile(lengths, DRAWS),
                None if states is None else {name: np.concatenate([one] * DRAWS) for name, one in states.items()},
            )
        final = {place.next_name for place in self.model.state_places()}
        expected = {}
        for name, value in exact.items():
            with np.errstate(invalid="ignore"):  # infinity less itself
                moves = np.abs(disturbed[name].reshape(DRAWS, *value.shape).astype(np.float64) - value)
            moves = np.where(np.isfinite(value), np.nan_to_num(moves, nan=np.inf, posinf=np.inf), 0.0)
            by_step = self.model.by_step and name not in final
            grouped = np.moveaxis(moves, 2, 0) if by_step else moves[None]
            sensitivity = grouped.reshape(len(grouped), -1).max(1, initial=0.0)
            padding = np.arange(value.shape[1]) >= lengths[:, None] if by_step and lengths is not None else None
            expected[name] = Expected(value, sensitivity, precision, padding=padding)
        return expected

    def _run(self, x: Array, lengths: Array | None, states: Mapping[str, Array] | None) -> dict[str, Array]:
        valid = None if lengths is None else torch.from_numpy(lengths)
        start = None if states is None else {name: _exactly(one) for name, one in states.items()}
        outputs = self.model.outputs(_exactly(x), valid, start)
        return {name: value.numpy() for name, value in outputs.items()}


def _exactly(array: Array) -> Tensor:
    """Numbers in float64, integers as they are."""
    own = torch.from_numpy(array)
    return own.double() if own.is_floating_point() else own
