"""MinimalRNN."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import zoo


class MinimalRNNCell(zoo.Cell):
    """MinimalRNN (Chen 2017, arXiv:1711.06788)::

        z = tanh(W x + b_z)
        u = sigmoid(U_h h + U_z z + b_u)
        h' = u * h + (1 - u) * z

    Only one product needs the state. State: (h,), (batch, hidden_size). Output: h'.
    """

    name = "minimal_rnn"
    state_names = ("h",)

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden,), output_size=hidden)
        self.x2z = nn.Linear(input_size, hidden)
        self.z2u = nn.Linear(hidden, hidden)
        self.h2u = nn.Linear(hidden, hidden, bias=False)

    def project(self, x: Tensor) -> Tensor:
        z = torch.tanh(self.x2z(x))
        return torch.cat([z, self.z2u(z)], 2)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        (h,) = state
        z, z_u = x.chunk(2, 1)
        u = torch.sigmoid(self.h2u(h) + z_u)
        h = u * h + (1 - u) * z
        return h, (h,)
