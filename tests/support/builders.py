"""Builders for tests: every kind of cell, and stacks of cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import cast

import torch
from pydantic import create_model

import zoo
from tests.cells import CELLS
from zoo.matrix.covering import cover
from zoo.nn.recurrent import DirectedStackConfig
from zoo_gru import GRUCell
from zoo_lstm import LSTMCell
from zoo_rnn import RNNCell


@dataclass(frozen=True)
class CellKind:
    """A cell with the options that select its equations."""

    cell: type[zoo.Cell]
    options: Mapping[str, object] = field(default_factory=dict)
    has_kernel: bool = True


KINDS: Mapping[str, CellKind] = {
    "rnn_tanh": CellKind(RNNCell, {"nonlinearity": "tanh"}),
    "rnn_relu": CellKind(RNNCell, {"nonlinearity": "relu"}),
    "lstm": CellKind(LSTMCell),
    "gru_after": CellKind(GRUCell, {"reset": "after"}),
    "gru_before": CellKind(GRUCell, {"reset": "before"}, has_kernel=False),
}
"""The five kinds of built-in cell, by the names of `tests.support.reference`."""

ALL_KINDS: Mapping[str, CellKind] = {
    **KINDS,
    **{name: CellKind(cell, has_kernel=False) for name, cell in CELLS.items()},
}
"""The built-in kinds and the cells of `tests.cells`."""

DIRECTIONS: tuple[zoo.Direction, ...] = ("forward", "reverse", "bidirectional")


def covering(*dimensions: Iterable[object]) -> list[tuple[object, ...]]:
    """Return a small set of rows in which every pair of values of different dimensions occurs."""
    values = [list(dimension) for dimension in dimensions]
    rows = cover([len(dimension) for dimension in values])
    return [tuple(values[index][number] for index, number in enumerate(row)) for row in rows]


@cache
def layer_type(cell: type[zoo.Cell]) -> type[zoo.Layer]:
    """Return the layer class of a cell, with the direction from the config."""
    return type("DirectedLayer", (zoo.Layer,), {"name": cell.name, "cell": cell})


@cache
def config_type(cell: type[zoo.Cell]) -> type[DirectedStackConfig]:
    """Return the class of options of a stack and of its cell together."""
    bases = cast("tuple[type[DirectedStackConfig], ...]", (DirectedStackConfig, cell.Config))
    return create_model(f"{cell.__name__}Config", __base__=bases)


def make_stack(
    kind: str, *, input_size: int = 3, seed: int = 0, dtype: torch.dtype = torch.float64, **options: object
) -> zoo.Stack:
    """Create a stack of one of `ALL_KINDS`.

    Args:
        seed: of the weights.
        options: options of a spec's architecture.
    """
    cell = ALL_KINDS[kind].cell
    config = config_type(cell).model_validate({"hidden_size": 5, **ALL_KINDS[kind].options, **options})
    torch.manual_seed(seed)
    return zoo.Stack(layer_type(cell), input_size, config).to(dtype)
