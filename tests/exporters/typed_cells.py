"""Cells with a state that is not float32: a counter or a flag of every type that a state may have."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

import zoo


class TypedCell(zoo.Cell):
    """An Elman network whose output is modulated by a counter 0, 1, 2, 3, 0, … or a flag 0, 1, 0, ….

    The new counter is computed with `torch.where` and `torch.maximum`, so that a step needs both in the counter's type.
    """

    name = "typed"
    state_names = ("h", "n")
    dtype: torch.dtype

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden, 2), output_size=hidden)
        self.x2h = nn.Linear(input_size, hidden)
        self.h2h = nn.Linear(hidden, hidden)

    def initial_state(self, batch: int, like: Tensor) -> zoo.State:
        h, n = super().initial_state(batch, like)
        return h, n.to(self.dtype)

    def project(self, x: Tensor) -> Tensor:
        projected: Tensor = self.x2h(x)
        return projected

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, n = state
        h = torch.tanh(x + self.h2h(h)) * (1 + 0.25 * n[:, :1].to(h.dtype))
        if self.dtype == torch.bool:
            counted = torch.where(n.any(1, keepdim=True), ~n, torch.ones_like(n))
        else:
            zero = torch.zeros_like(n)
            counted = torch.where(n < 3, torch.maximum(n, zero) + 1, zero)
        return h, (h, counted)


DTYPES = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
TYPED_CELLS: Mapping[str, type[zoo.Cell]] = {
    str(dtype).removeprefix("torch."): type("TypedCell", (TypedCell,), {"dtype": dtype}) for dtype in DTYPES
}
"""By the name of the counter's type."""
