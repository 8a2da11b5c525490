"""Values that a cell watches: recorded while asked for, and without any effect on results and graphs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import zoo
from tests.support.builders import make_stack
from tests.support.untraceable import PlainCell
from zoo.nn.watched import watched

NAMES = {"rnn_tanh": [], "lstm": ["f", "i", "g", "o"], "gru_after": ["z", "r", "n"], "gru_before": ["r", "z", "n"]}


@pytest.mark.parametrize("kind", NAMES)
def test_watching_changes_no_bit(kind: str) -> None:
    stack = make_stack(kind, implementation="cell", dtype=torch.float32)
    (cell,) = stack.ordered_layers[0].directed_cells
    x = torch.rand(6, 2, 3)
    plain, *_ = stack(x)
    with watched(cell) as values:
        recorded, *_ = stack(x)
    again, *_ = stack(x)
    assert plain.equal(recorded)
    assert plain.equal(again)
    assert list(values) == NAMES[kind]
    assert all([value.shape for value in calls] == [(2, 5)] * 6 for calls in values.values())


def test_an_error_ends_the_recording() -> None:
    (cell,) = make_stack("lstm").ordered_layers[0].directed_cells
    with pytest.raises(RuntimeError), watched(cell):
        raise RuntimeError
    assert "watch" not in vars(cell)


class Plain(PlainCell):
    name = "plain"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        f = torch.sigmoid(self.total(x, state))
        h = f * torch.tanh(x) + (1 - f) * state[0]
        return h, (h,)


class Watching(Plain):
    name = "watching"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        f = self.watch("f", torch.sigmoid(self.total(x, state)))
        h = self.watch("new", f * torch.tanh(x) + (1 - f) * state[0])
        return h, (h,)


def test_watching_adds_nothing_to_a_graph() -> None:
    graphs = []
    for kind in (Plain, Watching):
        cell = kind(3, zoo.CellConfig(hidden_size=5)).eval()
        program = torch.export.export(Steps(cell), (torch.rand(2, 5), torch.rand(2, 5)), strict=False)
        graphs.append(program.graph_module.code)
    assert graphs[0] == graphs[1]


class Steps(torch.nn.Module):
    """Module of a cell's `step`."""

    def __init__(self, cell: zoo.Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return self.cell.step(x, (h,))[0]
