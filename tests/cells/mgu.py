"""The minimal gated unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import zoo


class MGUCell(zoo.Cell):
    """Minimal gated unit: a forget gate and no other (Zhou et al. 2016, arXiv:1603.09420, equations 6 to 8)::

        f = sigmoid(W_f x + U_f h + b_f)
        h' = (1 - f) * h + f * tanh(W_h x + U_h (f * h) + b_h)

    State: (h,), (batch, hidden_size). Output: h'.
    """

    name = "mgu"
    state_names = ("h",)

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden,), output_size=hidden)
        self.x2h = nn.Linear(input_size, 2 * hidden)
        self.forget = nn.Linear(hidden, hidden, bias=False)
        self.candidate = nn.Linear(hidden, hidden, bias=False)

    def project(self, x: Tensor) -> Tensor:
        return self.x2h(x)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        (h,) = state
        x_forget, x_candidate = x.chunk(2, 1)
        f = self.watch("f", torch.sigmoid(x_forget + self.forget(h)))
        h = (1 - f) * h + f * torch.tanh(x_candidate + self.candidate(f * h))
        return h, (h,)
