"""LSTM with layer normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import zoo


class LayerNormLSTMCell(zoo.Cell):
    """Long short-term memory with three normalisations (Ba, Kiros and Hinton 2016, arXiv:1607.06450, appendix)::

        i, f, o, g = LN(W x) + LN(U h) + b
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h' = sigmoid(o) * tanh(LN(c'))

    State: (h, c), each (batch, hidden_size). Output: h'.
    """

    name = "layer_norm_lstm"
    state_names = ("h", "c")

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden, hidden), output_size=hidden)
        self.x2h = nn.Linear(input_size, 4 * hidden, bias=False)
        self.h2h = nn.Linear(hidden, 4 * hidden, bias=False)
        self.norm_x = nn.LayerNorm(4 * hidden)  # its shift is the gates' bias
        self.norm_h = nn.LayerNorm(4 * hidden)
        self.norm_c = nn.LayerNorm(hidden)
        # With 1, the recurrent term is as large as the input term, and a narrow network is close to chaos.
        nn.init.constant_(self.norm_h.weight, 0.1)

    def project(self, x: Tensor) -> Tensor:
        return self.norm_x(self.x2h(x))

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        i, f, o, g = (x + self.norm_h(self.h2h(h))).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(self.norm_c(c))
        return h, (h, c)
