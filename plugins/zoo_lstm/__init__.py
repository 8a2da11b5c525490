"""LSTM: long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers, Schmidhuber and Cummins 2000)."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn

import zoo

__all__ = ["LSTMCell", "zoo_register_cells"]


class LSTMCell(zoo.Cell):
    """Long short-term memory with a forget gate.

    The gates i, f, g, o stand below each other in the weights, in torch's order::

        i = sigmoid(W_i x + U_i h + b_i)      f = sigmoid(W_f x + U_f h + b_f)
        g = tanh(W_g x + U_g h + b_g)         o = sigmoid(W_o x + U_o h + b_o)
        c' = f * c + i * g                    h' = o * tanh(c')

    State: (h, c), each (batch, hidden_size). Output: h'.
    """

    name = "lstm"
    state_names = ("h", "c")

    class Config(zoo.CellConfig):
        bias: bool = True
        """Whether the gates have a bias."""

    def __init__(self, input_size: int, config: Config) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden, hidden), output_size=hidden)
        self.x2h = nn.Linear(input_size, 4 * hidden, bias=config.bias)
        self.h2h = nn.Linear(hidden, 4 * hidden, bias=config.bias)
        zoo.reset_uniform(self, 1 / sqrt(hidden))

    def project(self, x: Tensor) -> Tensor:
        return self.x2h(x)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        i, f, g, o = (x + self.h2h(h)).chunk(4, 1)
        c = self.watch("f", torch.sigmoid(f)) * c + self.watch("i", torch.sigmoid(i)) * self.watch("g", torch.tanh(g))
        h = self.watch("o", torch.sigmoid(o)) * torch.tanh(c)
        return h, (h, c)

    def kernel(self) -> zoo.Kernel:
        return zoo.Kernel(nn.LSTM, self.x2h.weight, self.h2h.weight, self.x2h.bias, self.h2h.bias)

    def operator(self) -> zoo.Operator:
        # ONNX calls the candidate g by the letter c.
        return zoo.Operator("LSTM", "ifco", self.x2h.weight, self.h2h.weight, self.x2h.bias, self.h2h.bias)


@zoo.hookimpl
def zoo_register_cells() -> list[type[zoo.Cell]]:
    return [LSTMCell]
