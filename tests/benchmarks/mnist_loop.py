"""The baseline of the engine: a hand-written training loop for a GRU of 128 on MNIST."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

BATCH = 64
LR = 4e-3
MEAN, STD = 33.3, 78.6
"""Statistics of MNIST's pixels. Without scaling the gates saturate, and saturated gates are slower to compute."""


class BareGRU(nn.Module):
    """torch.nn.GRU, the last hidden state, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(28, 128, batch_first=True)
        self.head = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.gru((x - MEAN) / STD)[1][-1])
        return scores


def bare_epoch(x: Tensor, y: Tensor) -> Callable[[], None]:
    """Return a function that trains the bare model for one more epoch on x (n, 28, 28) and y (n,)."""
    model = BareGRU()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)

    def epoch() -> None:
        order = torch.randperm(len(y))
        for rows in order.split(BATCH):
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    return epoch
