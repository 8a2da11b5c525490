"""Elman's network with its own output layer: the output is wider than the state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import zoo


class ElmanCell(zoo.Cell):
    """Simple recurrent network with output units (Elman 1990, "Finding structure in time", Cognitive Science 14)::

        h' = sigmoid(W x + U h + b)
        y = sigmoid(V h' + c)

    State: (h,), (batch, hidden_size). Output: y (batch, 2 * hidden_size).
    """

    name = "elman"
    state_names = ("h",)

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden,), output_size=2 * hidden)
        self.x2h = nn.Linear(input_size, hidden)
        self.h2h = nn.Linear(hidden, hidden, bias=False)
        self.h2y = nn.Linear(hidden, 2 * hidden)

    def project(self, x: Tensor) -> Tensor:
        return self.x2h(x)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        (h,) = state
        h = torch.sigmoid(x + self.h2h(h))
        return torch.sigmoid(self.h2y(h)), (h,)
