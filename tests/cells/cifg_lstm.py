"""LSTM with coupled gates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import zoo


class CIFGLSTMCell(zoo.Cell):
    """Long short-term memory with coupled input and forget gate (Greff et al. 2017, arXiv:1503.04069, variant CIFG)::

        i = sigmoid(W_i x + U_i h)      o = sigmoid(W_o x + U_o h)      g = tanh(W_g x + U_g h)
        c' = (1 - i) * c + i * g        h' = o * tanh(c')

    State: (h, c), each (batch, hidden_size). Output: h'.
    """

    name = "cifg_lstm"
    state_names = ("h", "c")

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden, hidden), output_size=hidden)
        self.x2h = nn.Linear(input_size, 3 * hidden)
        self.h2h = nn.Linear(hidden, 3 * hidden, bias=False)

    def project(self, x: Tensor) -> Tensor:
        return self.x2h(x)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        i, o, g = (x + self.h2h(h)).chunk(3, 1)
        c = torch.lerp(c, torch.tanh(g), torch.sigmoid(i))
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)
