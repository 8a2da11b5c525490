"""The closed-form continuous-time network: the solution of a differential equation, approximated by a formula."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import zoo


class CfCCell(zoo.Cell):
    """Closed-form continuous-time network (Hasani et al. 2022, arXiv:2106.13898), each step one unit of time later::

        s = tanh(W x + U h + b), the backbone that the three heads share
        h' = sigmoid(-f(s) t) * tanh(g(s)) + (1 - sigmoid(-f(s) t)) * tanh(k(s)),      t = 1

    with linear heads f, g and k. State: (h,), (batch, hidden_size). Output: h'.
    """

    name = "cfc"
    state_names = ("h",)

    class Config(zoo.CellConfig):
        backbone_size: zoo.Size = 12

    def __init__(self, input_size: int, config: Config) -> None:
        hidden, backbone = config.hidden_size, config.backbone_size
        super().__init__(input_size, state_sizes=(hidden,), output_size=hidden)
        self.x2s = nn.Linear(input_size, backbone)
        self.h2s = nn.Linear(hidden, backbone, bias=False)
        self.f, self.g, self.k = (nn.Linear(backbone, hidden) for _ in range(3))

    def project(self, x: Tensor) -> Tensor:
        return self.x2s(x)

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        (h,) = state
        s = torch.tanh(x + self.h2s(h))
        gate = torch.sigmoid(-self.f(s))
        h = gate * torch.tanh(self.g(s)) + (1 - gate) * torch.tanh(self.k(s))
        return h, (h,)
