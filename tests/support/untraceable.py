"""Cells that run in torch but cannot be traced, each for another reason; the faulty line is marked ``# HERE``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

import zoo


class PlainCell(zoo.Cell):
    """Base of these cells: a tanh network without ``step``."""

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden,), output_size=hidden)
        self.x2h = nn.Linear(input_size, hidden)
        self.h2h = nn.Linear(hidden, hidden)

    def project(self, x: Tensor) -> Tensor:
        projected: Tensor = self.x2h(x)
        return projected

    def total(self, x: Tensor, state: zoo.State) -> Tensor:
        """Return the sum of input and recurrent term, (batch, hidden_size)."""
        total: Tensor = x + self.h2h(state[0])
        return total


class BranchCell(PlainCell):
    """A Python branch on the value of a tensor."""

    name = "branch"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        total = self.total(x, state)
        if total.sum() > 0:  # HERE
            total = -total
        h = torch.tanh(total)
        return h, (h,)


class ItemBranchCell(PlainCell):
    """A Python branch on a number read with ``.item()``."""

    name = "item_branch"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        total = self.total(x, state)
        if total.abs().max().item() > 1:  # HERE
            total = total / 2
        h = torch.tanh(total)
        return h, (h,)


class ItemRangeCell(PlainCell):
    """A loop whose number of rounds is the value of a tensor."""

    name = "item_range"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h = torch.tanh(self.total(x, state))
        for _ in range(int(h.abs().sum().item())):  # HERE
            h = h / 2
        return h, (h,)


class UntilCell(PlainCell):
    """A solver that iterates until it converges."""

    name = "until"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        total = self.total(x, state)
        h, move = state[0], total
        while move.abs().max() > 1e-3:  # HERE
            move = torch.tanh(total - h) / 2
            h = h + move
        return h, (h,)


class NumpyCell(PlainCell):
    """A part of the step in NumPy."""

    name = "numpy"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        total = self.total(x, state)
        h = torch.from_numpy(np.tanh(total.detach().numpy()))  # HERE
        return h, (h,)


class NumpyProjectCell(PlainCell):
    """A part of the projection in NumPy."""

    name = "numpy_project"

    def project(self, x: Tensor) -> Tensor:
        return torch.from_numpy(np.cbrt(super().project(x).detach().numpy()))  # HERE

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h = torch.tanh(self.total(x, state))
        return h, (h,)


class BatchLoopCell(PlainCell):
    """A loop over the sequences of the batch."""

    name = "batch_loop"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        rows = [torch.tanh(row) for row in self.total(x, state)]  # HERE
        h = torch.stack(rows)
        return h, (h,)


class BatchBranchCell(PlainCell):
    """A Python branch on ``len`` of the batch, which fixes the batch size in the graph."""

    name = "batch_branch"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        total = self.total(x, state)
        if len(total) > 4:  # HERE
            total = total / 2
        h = torch.tanh(total)
        return h, (h,)


class ShapeBranchCell(PlainCell):
    """A Python branch on the shape, which fixes no size but leaves one branch out of the graph."""

    name = "shape_branch"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        total = self.total(x, state)
        if total.shape[0] > 4:  # HERE
            total = total / 2
        h = torch.tanh(total)
        return h, (h,)


class BesselCell(PlainCell):
    """An operation that ONNX does not have."""

    name = "bessel"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        total = self.total(x, state)
        h = torch.special.bessel_j0(total)  # HERE
        return h, (h,)


class NoiseCell(PlainCell):
    """Random numbers in inference mode."""

    name = "noise"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        total = self.total(x, state)
        h = torch.tanh(total + 0.1 * torch.randn_like(total))  # HERE
        return h, (h,)


UNTRACEABLE: Mapping[str, type[zoo.Cell]] = {
    cell.name: cell
    for cell in (
        BranchCell,
        ItemBranchCell,
        ItemRangeCell,
        UntilCell,
        NumpyCell,
        NumpyProjectCell,
        BatchLoopCell,
        BatchBranchCell,
        ShapeBranchCell,
        BesselCell,
        NoiseCell,
    )
}
"""The cells by name."""


def marked_line(cell: type[zoo.Cell]) -> int:
    """Return the line number, in its file, of the line of a cell that is marked ``# HERE``."""
    lines, first = inspect.getsourcelines(cell)
    (marked,) = [number for number, line in enumerate(lines, first) if line.endswith("# HERE\n")]
    return marked
