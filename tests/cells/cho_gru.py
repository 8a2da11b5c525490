"""The gated recurrent unit as first published, without the standard operator that equals it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import zoo


class ChoGRUCell(zoo.Cell):
    """Gated recurrent unit, reset before the product (Cho et al. 2014, arXiv:1406.1078, equations 5 to 8)::

        r = sigmoid(W_r x + U_r h)      z = sigmoid(W_z x + U_z h)
        h' = z * h + (1 - z) * tanh(W x + U (r * h))

    State: (h,), (batch, hidden_size). Output: h'.
    """

    name = "cho_gru"
    state_names = ("h",)

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden,), output_size=hidden)
        self.x2h = nn.Linear(input_size, 3 * hidden)
        self.h2gates = nn.Linear(hidden, 2 * hidden, bias=False)
        self.h2h = nn.Linear(hidden, hidden, bias=False)

    def project(self, x: Tensor) -> Tensor:
        return self.x2h(x)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        (h,) = state
        hidden = h.shape[1]
        x_gates, x_h = x.split([2 * hidden, hidden], 1)
        r, z = torch.sigmoid(x_gates + self.h2gates(h)).chunk(2, 1)
        h = z * h + (1 - z) * torch.tanh(x_h + self.h2h(r * h))
        return h, (h,)
