"""LSTM with peepholes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import zoo


class PeepholeLSTMCell(zoo.Cell):
    """Long short-term memory whose gates read the cell state (Gers and Schmidhuber 2000, "Recurrent nets that time and
    count", IJCNN)::

        i = sigmoid(W_i x + U_i h + p_i * c)      f = sigmoid(W_f x + U_f h + p_f * c)
        c' = f * c + i * tanh(W_g x + U_g h)
        o = sigmoid(W_o x + U_o h + p_o * c')     h' = o * tanh(c')

    State: (h, c), each (batch, hidden_size). Output: h'.
    """

    name = "peephole_lstm"
    state_names = ("h", "c")

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden, hidden), output_size=hidden)
        self.x2h = nn.Linear(input_size, 4 * hidden)
        self.h2h = nn.Linear(hidden, 4 * hidden, bias=False)
        self.peepholes = nn.Parameter(torch.empty(3, hidden).uniform_(-1, 1))
        """(3, hidden_size), of the gates i, f and o."""

    def project(self, x: Tensor) -> Tensor:
        return self.x2h(x)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        p_i, p_f, p_o = self.peepholes
        i, f, g, o = (x + self.h2h(h)).chunk(4, 1)
        c = torch.sigmoid(f + p_f * c) * c + torch.sigmoid(i + p_i * c) * torch.tanh(g)
        h = torch.sigmoid(o + p_o * c) * torch.tanh(c)
        return h, (h, c)
