"""LSTM with a recurrent projection: output and hidden state are narrower than the cell state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import zoo


class LSTMPCell(zoo.Cell):
    """Long short-term memory with a recurrent projection layer (Sak, Senior and Beaufays 2014, arXiv:1402.1128), here
    without peepholes and without the non-recurrent projection::

        i, f, o = sigmoid(W x + U r)      g = tanh(W_g x + U_g r)
        c' = f * c + i * g                r' = P (o * tanh(c'))

    State: r (batch, projection_size), c (batch, hidden_size). Output: r'.
    """

    name = "lstmp"
    state_names = ("r", "c")

    class Config(zoo.CellConfig):
        projection_size: zoo.Size = 3
        """Width of the output."""

    def __init__(self, input_size: int, config: Config) -> None:
        hidden, projected = config.hidden_size, config.projection_size
        super().__init__(input_size, state_sizes=(projected, hidden), output_size=projected)
        self.x2h = nn.Linear(input_size, 4 * hidden)
        self.r2h = nn.Linear(projected, 4 * hidden, bias=False)
        self.projection = nn.Linear(hidden, projected, bias=False)

    def project(self, x: Tensor) -> Tensor:
        return self.x2h(x)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        r, c = state
        i, f, g, o = (x + self.r2h(r)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        r = self.projection(torch.sigmoid(o) * torch.tanh(c))
        return r, (r, c)
