"""The liquid time-constant network: a differential equation, solved within each step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import zoo


class LTCCell(zoo.Cell):
    """Liquid time-constant network with the paper's fused solver (Hasani et al. 2021, arXiv:2006.04439)::

        dh/dt = -(1 / tau + f) * h + f * A,      f = sigmoid(W x + U h + b)
        h <- (h + dt * f * A) / (1 + dt * (1 / tau + f)), ``unfolds`` times with dt = 1 / unfolds

    State: (h,), (batch, hidden_size). Output: h'.
    """

    name = "ltc"
    state_names = ("h",)

    class Config(zoo.CellConfig):
        unfolds: zoo.Size = 3
        """Steps of the solver within one step of time."""

    def __init__(self, input_size: int, config: Config) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden,), output_size=hidden)
        self.unfolds = config.unfolds
        self.x2h = nn.Linear(input_size, hidden)
        self.h2h = nn.Linear(hidden, hidden, bias=False)
        self.rate = nn.Parameter(torch.empty(hidden).uniform_(-1, 1))
        """The logarithm of 1 / tau, so that training keeps tau positive."""
        self.target = nn.Parameter(torch.empty(hidden).uniform_(-1, 1))
        """The paper's A."""

    def project(self, x: Tensor) -> Tensor:
        return self.x2h(x)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        (h,) = state
        dt = 1 / self.unfolds
        for number in range(self.unfolds):
            f = self.watch(f"f{number}", torch.sigmoid(x + self.h2h(h)))
            h = (h + dt * f * self.target) / (1 + dt * (torch.exp(self.rate) + f))
        return h, (h,)
