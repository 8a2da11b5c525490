"""GRU: the gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), in both of its published forms."""

from __future__ import annotations

from math import sqrt
from typing import Literal

import torch
from torch import Tensor, nn

import zoo

__all__ = ["GRUCell", "zoo_register_cells"]


class GRUCell(zoo.Cell):
    """Gated recurrent unit.

    The gates r, z, n stand below each other in the weights, in torch's order::

        r = sigmoid(W_r x + U_r h + b_r)      z = sigmoid(W_z x + U_z h + b_z)
        reset after:   n = tanh(W_n x + b + r * (U_n h + b'))      torch's and cuDNN's form
        reset before:  n = tanh(W_n x + b + U_n (r * h) + b')      Cho et al. 2014, equation 8
        h' = (1 - z) * n + z * h

    State: (h,), (batch, hidden_size). Output: h'.
    """

    name = "gru"
    state_names = ("h",)

    class Config(zoo.CellConfig):
        bias: bool = True
        """Whether the gates have a bias."""
        reset: Literal["after", "before"] = "after"
        """Whether the reset gate acts after the recurrent product, as in torch and cuDNN, or before it."""

    def __init__(self, input_size: int, config: Config) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden,), output_size=hidden)
        self.reset = config.reset
        self.x2h = nn.Linear(input_size, 3 * hidden, bias=config.bias)
        self.h2h = nn.Linear(hidden, 3 * hidden, bias=config.bias)
        zoo.reset_uniform(self, 1 / sqrt(hidden))

    def project(self, x: Tensor) -> Tensor:
        return self.x2h(x)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        (h,) = state
        return self._reset_after(x, h) if self.reset == "after" else self._reset_before(x, h)

    def _reset_after(self, x: Tensor, h: Tensor) -> tuple[Tensor, zoo.State]:
        x_r, x_z, x_n = x.chunk(3, 1)
        h_r, h_z, h_n = self.h2h(h).chunk(3, 1)
        z = self.watch("z", torch.sigmoid(x_z + h_z))
        r = self.watch("r", torch.sigmoid(x_r + h_r))
        n = self.watch("n", torch.tanh(x_n + r * h_n))
        h = n + z * (h - n)
        return h, (h,)

    def _reset_before(self, x: Tensor, h: Tensor) -> tuple[Tensor, zoo.State]:
        hidden = h.shape[1]
        gates, candidate = self.h2h.weight.split([2 * hidden, hidden])
        bias = (None, None) if self.h2h.bias is None else self.h2h.bias.split([2 * hidden, hidden])
        x_gates, x_n = x.split([2 * hidden, hidden], 1)
        r, z = torch.sigmoid(x_gates + nn.functional.linear(h, gates, bias[0])).chunk(2, 1)
        r, z = self.watch("r", r), self.watch("z", z)
        n = self.watch("n", torch.tanh(x_n + nn.functional.linear(r * h, candidate, bias[1])))
        h = n + z * (h - n)
        return h, (h,)

    def kernel(self) -> zoo.Kernel | None:
        if self.reset == "before":
            return None
        return zoo.Kernel(nn.GRU, self.x2h.weight, self.h2h.weight, self.x2h.bias, self.h2h.bias)

    def operator(self) -> zoo.Operator:
        # ONNX calls the candidate n by the letter h.
        return zoo.Operator(
            "GRU",
            "rzh",
            self.x2h.weight,
            self.h2h.weight,
            self.x2h.bias,
            self.h2h.bias,
            attributes={"linear_before_reset": int(self.reset == "after")},
        )


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.Cell]]:
    return [GRUCell]
