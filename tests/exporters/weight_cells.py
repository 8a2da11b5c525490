"""Cells whose recurrent weight is computed from their parameters by operations that ONNX lacks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import zoo
from tests.support.untraceable import PlainCell


class WeightCell(PlainCell):
    """An Elman network; a subclass computes its recurrent weight."""

    name = "weight"

    def weight(self) -> Tensor:
        """Return the recurrent weight, (hidden, hidden)."""
        return self.h2h.weight

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h = torch.tanh(x + nn.functional.linear(state[0], self.weight(), self.h2h.bias))
        return h, (h,)


class ExponentialAndCayley(WeightCell):
    """Product of two orthogonal matrices, computed from a skew-symmetric one.

    They are its exponential (expRNN, Lezcano-Casado and Martinez-Rubio 2019) and, by a solver, its Cayley transform
    (scoRNN, Helfrich et al. 2018).
    """

    name = "exponential_and_cayley"

    def weight(self) -> Tensor:
        lower = self.h2h.weight.tril(-1)
        skew, identity = lower - lower.T, torch.eye(len(lower), dtype=lower.dtype)
        by_solver: Tensor = torch.linalg.solve(identity + skew, identity - skew)
        return torch.matrix_exp(skew) @ by_solver


class Inverse(WeightCell):
    """An inverse, beside the weight that it is computed from."""

    name = "inverse"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        own = self.h2h.weight
        inverse = torch.linalg.inv(own + 2 * torch.eye(len(own), dtype=own.dtype))
        h = torch.tanh(x + self.h2h(state[0]) + nn.functional.linear(state[0], inverse))
        return h, (h,)


class Orthonormal(WeightCell):
    """The Q of a QR decomposition, an operation with two results, split into two blocks."""

    name = "orthonormal"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        q, r = torch.linalg.qr(self.h2h.weight)
        upper, lower = (q * r.diagonal().sign()).split([2, len(q) - 2])
        product = torch.cat([nn.functional.linear(state[0], upper), nn.functional.linear(state[0], lower)], 1)
        h = torch.tanh(x + product)
        return h, (h,)


class Parametrized(WeightCell):
    """An orthogonal weight by PyTorch's parametrization, with one of its maps."""

    name = "parametrized"
    orthogonal_map: str

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        super().__init__(input_size, config)
        parametrizations.orthogonal(self.h2h, orthogonal_map=self.orthogonal_map)
        with torch.no_grad():  # the parameters are zeros at first, which every map treats alike
            for name, parameter in self.h2h.named_parameters():
                if name.startswith("parametrizations"):
                    parameter.add_(torch.empty_like(parameter).uniform_(-0.5, 0.5))


WEIGHT_CELLS: Mapping[str, type[zoo.Cell]] = {
    **{cell.name: cell for cell in (ExponentialAndCayley, Inverse, Orthonormal)},
    **{
        f"orthogonal by {kind}": type("Parametrized", (Parametrized,), {"orthogonal_map": kind})
        for kind in ("matrix_exp", "cayley", "householder")
    },
}
"""By name."""
