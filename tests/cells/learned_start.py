"""A network with a learned initial state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import zoo


class LearnedStartCell(zoo.Cell):
    """A tanh network whose initial state is learned (Forcada and Carrasco 1995, "Learning the initial state of a
    second-order recurrent neural network during regular-language inference", Neural Computation 7)::

        h' = tanh(W x + U h + b),      h = start before the first step

    State: (h,), (batch, hidden_size). Output: h'.
    """

    name = "learned_start"
    state_names = ("h",)

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden,), output_size=hidden)
        self.x2h = nn.Linear(input_size, hidden)
        self.h2h = nn.Linear(hidden, hidden, bias=False)
        self.start = nn.Parameter(torch.empty(hidden).uniform_(-1, 1))

    def initial_state(self, batch: int, like: Tensor) -> zoo.State:
        return (self.start.expand(batch, -1),)

    def project(self, x: Tensor) -> Tensor:
        return self.x2h(x)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        (h,) = state
        h = torch.tanh(x + self.h2h(h))
        return h, (h,)
