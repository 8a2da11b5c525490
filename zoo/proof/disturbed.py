"""Disturbed arithmetic: float64 in which every operation errs by up to one rounding of a coarser precision.

This is Monte Carlo arithmetic (Parker 1997; Denis, de Oliveira Castro and Petit 2016, "Verificarlo"). The result of
every floating-point operation is multiplied by (1 + u * xi), with xi uniform in [-1, 1] and u the unit roundoff of the
precision judged. It becomes infinite where that precision would overflow. The distance by which an output moves is an
estimate of the error of a correct program of that precision.

Real rounding errors are not random: an error is a function of the operands (Higham 2002, "Accuracy and Stability of
Numerical Algorithms", chapter 1). A library's tanh errs in one direction over whole intervals (ONNX Runtime 1.31: by
1.6 u on average between 0 and 0.1), and equal numbers round alike. Such errors add up instead of cancelling. So some of
the draws are one-sided. In them xi is 1 or -1, drawn once for each kind of operation, wherever a library function is
evaluated and wherever neighbouring results are equal. For equal products of n terms it is 1 + log2 n times as large,
the number of roundings of pairwise summation (Higham 2002, section 4.2).

A file may keep its weights in a coarser format than it computes in (`zoo.parity.WEIGHT_FORMATS`). Then the operands of
products with weights are disturbed too. A weight errs by up to half a step of its format: by the same amount at every
step of a sequence, by another amount in each draw. An activation that is quantised to 8 bits errs by up to half a step
of its tensor's range, drawn anew at each product. Embeddings err like weights in float16 and bfloat16; int8 does not
quantise them.
"""

from __future__ import annotations

import math
import sys
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.parity import ALL_PRECISIONS, WEIGHT_FORMATS
from zoo.proof.decompose import decomposition
from zoo.proof.noise import Noise

PRODUCTS = {"mm": 0, "addmm": 1}
"""Products with a weight as the right operand, as in ``x @ W``, and the argument position of their left operand.
torch decomposes ``linear`` and ``matmul`` with a matrix into one of them."""

SUMS = frozenset({"avg_pool2d", "cumprod", "cumsum", "linalg_vector_norm", "mean", "prod", "sum", "var"})
"""Operations that combine many numbers into one; ``cumsum`` and ``cumprod`` do so along an axis."""

FUNCTIONS = frozenset(
    {
        "_log_softmax", "_softmax", "atan", "cos", "elu", "erf", "exp", "expm1", "gelu", "log", "log1p",
        "log_sigmoid_forward", "mish", "pow", "rsqrt", "sigmoid", "silu", "sin", "softplus", "tan", "tanh"
    }
)  # fmt: skip
"""Functions that a library approximates."""

BOUNDED = frozenset({"_softmax", "atan", "cos", "erf", "sigmoid", "sin", "tanh"})
"""Functions whose results are far from the range of any precision."""

WHOLE = frozenset({"add", "floor_divide", "mul", "remainder", "rsub", "sub"})
"""Operations that are exact on whole numbers within the precision's range, as for a counter in floating point."""


class DisturbedArithmetic(TorchDispatchMode):
    """Context in which every computed float64 result errs by up to one rounding; copies and selections stay exact.

    Args:
        precision: a key of `zoo.parity.ALL_PRECISIONS`; it gives the unit roundoff and the range.
        seed: seed of the disturbances.
        draws: number of draws, concatenated along the batch; each has its own errors of the weights.
        batch: rows of the batch, over all draws; None for a single draw of a computation without rows, so that every
            array as a whole belongs to it.
        one_sided: number of draws with one-sided errors, as explained above; they are the last ones.
    """

    # fmt: off
    MOVES = frozenset(
        {
            "_pack_padded_sequence", "_to_copy", "_unsafe_index", "_unsafe_masked_index", "_unsafe_view",
            "as_strided_copy",
            "as_strided_scatter", "block_diag", "cat", "channel_shuffle", "clone", "constant_pad_nd", "copy",
            "diag_embed", "diagonal_copy", "diagonal_scatter", "embedding", "expand_copy", "flip", "gather", "im2col",
            "index", "index_copy", "index_fill", "index_put", "index_select", "lift_fresh", "masked_fill",
            "masked_scatter", "masked_select", "narrow_copy", "permute_copy", "pixel_shuffle", "pixel_unshuffle",
            "put", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "repeat", "replication_pad1d",
            "replication_pad2d", "replication_pad3d", "roll", "rot90", "scatter", "select_scatter", "slice_scatter",
            "split_with_sizes_copy", "squeeze_copy", "stack", "t_copy", "take", "transpose_copy", "tril", "triu",
            "_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d",
            "unbind_copy", "unfold_copy", "unsafe_split", "unsafe_split_with_sizes", "unsqueeze_copy",
            "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "view_copy", "where"
        }
        | {
            "abs", "adaptive_max_pool2d", "adaptive_max_pool3d", "amax", "amin", "aminmax", "clamp", "clamp_max",
            "clamp_min", "copysign", "cummax", "cummin", "fmax", "fmin", "hardshrink", "hardtanh", "heaviside",
            "kthvalue", "max", "max_pool2d_with_indices", "max_pool3d_with_indices", "maximum", "median", "min",
            "minimum", "mode", "nan_to_num", "nanmedian", "neg", "relu", "sgn", "sign", "sort", "threshold", "topk",
            "unique_consecutive", "unique_dim", "_unique2"
        }
        | {
            "ceil", "floor", "fmod", "frac", "frexp", "nextafter", "round", "trunc"
        }
        | {
            "arange", "empty", "empty_like", "eye", "fill", "full", "full_like", "new_empty", "new_full",
            "new_ones", "new_zeros", "ones", "ones_like", "scalar_tensor", "zero", "zeros", "zeros_like"
        }
    )
    # fmt: on
    """Exact operations (IEEE 754-2019, 5.3 and 5.9): they move numbers, select some of them, truncate them to the whole
    or the fractional part, or create constants. Views are recognised by their schema. An in-place operation, such as
    ``relu_``, counts under its name without the underscore. ``remainder`` is absent, since it may add the divisor."""
    ROUND = frozenset({"round.decimals", "scatter.reduce", "scatter.value_reduce"})
    """Overloads of the operations above that do round."""

    def __init__(self, precision: str, seed: int, draws: int = 1, batch: int | None = 1, one_sided: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.unit_roundoff = ALL_PRECISIONS[precision].unit_roundoff
        self.kept = WEIGHT_FORMATS.get(ALL_PRECISIONS[precision].weights or "")
        self.draws, self.batch, self.one_sided = draws, batch, one_sided
        self._sides: dict[str, Tensor] = {}
        self._factors: dict[tuple[str, int, int], Tensor] = {}
        self._errors: dict[tuple[object, ...], Tensor] = {}
        # A result beyond the precision's range, multiplied by this, overflows in float64.
        self.lift = 2.0 ** (sys.float_info.max_exp - ALL_PRECISIONS[precision].max_exponent)
        self._noise = Noise(seed)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return false: nothing is compiled here, and torch would import its compiler, which takes a second."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if (parts := decomposition(func)) is not None:
            with self:
                return parts(*args, **(kwargs or {}))
        name, exact = _kind(func)
        if self.kept is not None and name in PRODUCTS:
            result = self._product(func, args, kwargs or {}, PRODUCTS[name])
        else:
            result = func(*args, **(kwargs or {}))
        if self.kept is not None and name == "embedding" and not self.kept.range_share:
            result = result + self._weight_error(result)
        adds = name == "index_put" and len(args) > 3 and args[3]  # accumulate
        if (exact and not adds) or (name in WHOLE and all(map(self._holds_whole, (result, *args[:2])))):
            return result
        for part in result if isinstance(result, tuple | list) else (result,):
            if isinstance(part, Tensor) and part.dtype == torch.float64 and part.numel():
                self._disturb(part, name, _terms(name, args, part) if self.one_sided else 1)
            elif isinstance(part, Tensor) and part.dtype == torch.complex128:
                self._disturb_complex(part, name)
        return result

    def _disturb_complex(self, result: Tensor, name: str) -> None:
        """Add its errors to a complex result, in place.

        Those of a Fourier transform are relative to the whole transform (Higham 2002, theorem 24.2): log2(n) roundings
        of its root mean square.
        """
        parts = torch.view_as_real(result)
        size = parts.abs()
        if name.startswith("_fft"):
            size = (parts * parts).mean().sqrt() * math.log2(max(2, result.shape[-1]))
        parts += self.unit_roundoff * size * self._noise.uniform(parts.shape)

    def _holds_whole(self, value: Any) -> bool:
        """Whether an operand or a result consists of whole numbers that the precision represents exactly."""
        if not isinstance(value, Tensor):
            return float(value).is_integer()
        if value.dtype != torch.float64 or not value.numel():
            return True
        if not float(value[(0,) * value.dim()]).is_integer():  # cheap, and enough for most tensors
            return False
        return bool(((value == value.round()) & (value.abs() <= 1 / self.unit_roundoff)).all())

    def _disturb(self, result: Tensor, name: str, terms: int) -> None:
        """Multiply a computed result by its errors, in place."""
        lift = 1.0 if name in BOUNDED else self.lift  # a power of two, so that neither product rounds
        by_draw = self._by_draw(result) if self.one_sided else None
        if by_draw is None:
            self._noise.multiply(result, self.unit_roundoff, 1.0, lift)
        elif name in FUNCTIONS:
            self._noise.multiply(by_draw[:, : -self.one_sided], self.unit_roundoff, 1.0, lift)
            by_draw[:, -self.one_sided :].mul_(self._sided_factor(name, 1, by_draw.dim()) * lift)
        else:
            sided = by_draw[:, -self.one_sided :]
            equal = _equal_neighbours(sided)
            rounded = None if equal is None else sided * (self._sided_factor(name, terms, by_draw.dim()) * lift)
            self._noise.multiply(result, self.unit_roundoff, 1.0, lift)
            if equal is not None and rounded is not None:
                sided.copy_(rounded.where(equal, sided))
        if lift != 1:
            result.mul_(1 / lift)

    def _sided_factor(self, name: str, terms: int, dimensions: int) -> Tensor:
        """Return the factor of a result in each one-sided draw, (draws, 1, …); the side is drawn once for a name."""
        key = name, terms, dimensions
        if key not in self._factors:
            if name not in self._sides:
                self._sides[name] = self._noise.sides(self.one_sided)
            sides = self._sides[name].view(-1, *[1] * (dimensions - 2))
            self._factors[key] = 1 + self.unit_roundoff * (1 + math.log2(terms)) * sides
        return self._factors[key]

    def _by_draw(self, array: Tensor) -> Tensor | None:
        """Return a view (…, draws, rows of one draw, …); None for an array without a batch axis."""
        shape = array.shape
        if self.batch is None:
            return array.view(1, 1, *shape)
        if len(shape) > 2 and shape[1] == self.batch:  # (time, batch, …), as inside layers
            return array.view(shape[0], self.draws, -1, *shape[2:])
        if len(shape) > 1 and shape[0] and shape[0] % self.batch == 0:
            return array.view(-1, self.draws, self.batch // self.draws, *shape[1:])
        return None

    def _product(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], left: int) -> Tensor:
        """Return the product of x (rows, n) and a weight (n, m) with errors of their formats in both."""
        assert self.kept is not None
        x, weight = args[left], args[left + 1]
        rounded = x
        if self.kept.range_share:
            finite = x[x.isfinite()]  # the padding may be NaN
            width = finite.clamp(min=0).amax() - finite.clamp(max=0).amin() if finite.numel() else 0.0
            rounded = x + self.kept.range_share * width * self._noise.uniform(x.shape)
        product: Tensor = func(*args[:left], rounded, weight, *args[left + 2 :], **kwargs)
        errors = self._errors_of(weight)
        if self.batch is None or len(x) % self.batch:  # the rows are not those of the batch: one draw for all of them
            by_draw, errors = x, errors[0]
        else:
            by_draw = x.reshape(-1, self.draws, self.batch // self.draws, x.shape[1])  # (time * batch, n) in layers
        moved: Tensor = product + (by_draw @ errors).reshape(product.shape)
        return moved

    def _errors_of(self, weight: Tensor) -> Tensor:
        """Return the errors of a weight, (draws, n, m); those of a parameter, or of a view of it, are drawn once."""
        owner = weight if weight._base is None else weight._base
        if not isinstance(owner, nn.Parameter):
            return torch.stack([self._weight_error(weight) for _ in range(self.draws)])
        place = (id(owner), weight.storage_offset(), weight.shape, weight.stride())
        if place not in self._errors:
            self._errors[place] = torch.stack([self._weight_error(weight) for _ in range(self.draws)])
        return self._errors[place]

    def _weight_error(self, weight: Tensor) -> Tensor:
        """Draw an error for each entry of a weight, up to half a step of its format."""
        assert self.kept is not None
        size = weight.abs()
        size = size.amax(0, keepdim=True) if self.kept.range_share else size.clamp(min=self.kept.smallest)
        return self.kept.unit_roundoff * size * self._noise.uniform(weight.shape)


def _terms(name: str, args: tuple[Any, ...], result: Tensor) -> int:
    """Return how many terms an entry of a result has: those of its products, or of its sum."""
    if name in PRODUCTS:
        return int(args[PRODUCTS[name]].shape[1])
    if name == "convolution":
        weight, groups = args[1], args[8]
        return int(weight.shape[0] // groups * weight[0, 0].numel() if args[6] else weight[0].numel())
    if name in ("baddbmm", "bmm"):
        return int(args[0 if name == "bmm" else 1].shape[2])
    if name in SUMS and isinstance(args[0], Tensor):
        return max(1, args[0].shape[args[1]] if name.startswith("cum") else args[0].numel() // result.numel())
    return 1


@cache
def _kind(func: Any) -> tuple[str, bool]:
    """Return the name of an operation without the underscore of an in-place one, and whether it is exact."""
    name = func._schema.name.removeprefix("aten::").removesuffix("_")
    rounds = f"{name}.{func._schema.overload_name}" in DisturbedArithmetic.ROUND
    return name, func.is_view or (name in DisturbedArithmetic.MOVES and not rounds)


def _equal_neighbours(values: Tensor) -> Tensor | None:
    """Return where an entry of the last axis equals one beside it; None where none does."""
    same = values[..., 1:] == values[..., :-1]
    if not same.any():
        return None
    equal = torch.zeros(values.shape, dtype=torch.bool)
    equal[..., 1:] |= same
    equal[..., :-1] |= same
    return equal
