"""Vanilla RNN (Elman 1990), with tanh or ReLU."""

from __future__ import annotations

from math import sqrt
from typing import Literal

import torch
from torch import Tensor, nn

import zoo

__all__ = ["RNNCell", "zoo_register_cells"]


class RNNCell(zoo.Cell):
    """The simple recurrent cell: h' = f(W x + b + U h + b'), with f = tanh or ReLU.

    State: (h,), (batch, hidden_size). Output: h'.
    """

    name = "rnn"
    state_names = ("h",)

    class Config(zoo.CellConfig):
        bias: bool = True
        """Whether the sum has a bias."""
        nonlinearity: Literal["tanh", "relu"] = "tanh"
        """The function f."""

    def __init__(self, input_size: int, config: Config) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden,), output_size=hidden)
        self.nonlinearity = config.nonlinearity
        self.x2h = nn.Linear(input_size, hidden, bias=config.bias)
        self.h2h = nn.Linear(hidden, hidden, bias=config.bias)
        zoo.reset_uniform(self, 1 / sqrt(hidden))

    def project(self, x: Tensor) -> Tensor:
        return self.x2h(x)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        (h,) = state
        total = x + self.h2h(h)
        h = torch.tanh(total) if self.nonlinearity == "tanh" else torch.relu(total)
        return h, (h,)

    def kernel(self) -> zoo.Kernel:
        return zoo.Kernel(
            nn.RNN,
            self.x2h.weight,
            self.h2h.weight,
            self.x2h.bias,
            self.h2h.bias,
            options={"nonlinearity": self.nonlinearity},
        )

    def operator(self) -> zoo.Operator:
        return zoo.Operator(
            "RNN",
            "i",
            self.x2h.weight,
            self.h2h.weight,
            self.x2h.bias,
            self.h2h.bias,
            # The default activation is tanh.
            activations=() if self.nonlinearity == "tanh" else ("Relu",),
        )


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.Cell]]:
    return [RNNCell]
