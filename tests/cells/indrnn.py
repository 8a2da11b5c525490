"""The independently recurrent network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import zoo


class IndRNNCell(zoo.Cell):
    """Independently recurrent network: each unit reads its own state only (Li et al. 2018, arXiv:1803.04831)::

        h' = relu(W x + u * h + b)

    State: (h,), (batch, hidden_size). Output: h'.
    """

    name = "indrnn"
    state_names = ("h",)

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden,), output_size=hidden)
        self.x2h = nn.Linear(input_size, hidden)
        self.u = nn.Parameter(torch.empty(hidden).uniform_(0, 1))  # below 1, so that the state decays

    def project(self, x: Tensor) -> Tensor:
        return self.x2h(x)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        (h,) = state
        h = torch.relu(x + self.u * h)
        return h, (h,)
