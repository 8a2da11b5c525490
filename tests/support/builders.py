"""What tests build from: every kind of cell, and stacks of them."""

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
    """A cell with the options that change its equations."""

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
"""The five kinds of built-in cell, under the names that `tests.support.reference` has for them."""

ALL_KINDS: Mapping[str, CellKind] = {
    **KINDS,
    **{name: CellKind(cell, has_kernel=False) for name, cell in CELLS.items()},
}
"""The built-in kinds and the cells of `tests.cells`."""

DIRECTIONS: tuple[zoo.Direction, ...] = ("forward", "reverse", "bidirectional")


def covering(*dimensions: Iterable[object]) -> list[tuple[object, ...]]:
    """Few rows in which every two values of different dimensions occur together."""
    values = [list(dimension) for dimension in dimensions]
    return [
        tuple(values[place][number] for place, number in enumerate(row)) for row in cover([len(one) for one in values])
    ]


@cache
def layer_type(cell: type[zoo.Cell]) -> type[zoo.Layer]:
    """The layer of a cell whose direction the spec chooses."""
    return type("DirectedLayer", (zoo.Layer,), {"name": cell.name, "cell": cell})


@cache
def config_type(cell: type[zoo.Cell]) -> type[DirectedStackConfig]:
    """The options of a stack and of its cell, in one class."""
    bases = cast("tuple[type[DirectedStackConfig], ...]", (DirectedStackConfig, cell.Config))
    return create_model(f"{cell.__name__}Config", __base__=bases)


def make_stack(
    kind: str, *, input_size: int = 3, seed: int = 0, dtype: torch.dtype = torch.float64, **options: object
) -> zoo.Stack:
    """A stack of one of `ALL_KINDS`, weights drawn from ``seed``; ``options`` are those of a spec's architecture."""
    cell = ALL_KINDS[kind].cell
    config = config_type(cell).model_validate({"hidden_size": 5, **ALL_KINDS[kind].options, **options})
    torch.manual_seed(seed)
    return zoo.Stack(layer_type(cell), input_size, config).to(dtype)
