"""What a model carries from step to step, by name: for callers that hold it themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import DataError, ExportError
from zoo.nn.cell import State
from zoo.nn.recurrent import Layer


@dataclass(frozen=True)
class StatePlace:
    """Where one tensor of the state of one direction of one layer stands, and what it is called."""

    name: str
    """What it is called before the first step: ``state_0_h`` by layer and part; with both directions in a layer
    ``state_0_forward_h`` and ``state_0_reverse_h``."""
    layer: int
    direction: int
    """The layer's cell: 0, or 1 for the second direction of a bidirectional one."""
    index: int
    """Its place in the state."""

    @property
    def next_name(self) -> str:
        """What it is called after the last step."""
        return f"next_{self.name}"


@dataclass(frozen=True)
class StatePart(StatePlace):
    """The same, (batch, n), with what it is at first."""

    initial: Tensor
    """(n,): what every sequence starts with."""


def state_places(layers: Sequence[Layer]) -> list[StatePlace]:
    """Everything that the layers carry, in their order.

    Raises:
        ExportError: where a cell's names for it are too few, too many or the same.
    """
    places = []
    for number, layer in enumerate(layers):
        directions = ("forward_", "reverse_") if len(layer.directed_cells) == 2 else ("",)
        for direction, (cell, prefix) in enumerate(zip(layer.directed_cells, directions, strict=True)):
            names = cell.state_names or tuple(map(str, range(len(cell.state_sizes))))
            if not len(set(names)) == len(names) == len(cell.state_sizes):
                raise ExportError(
                    f"layer {number}: the cell {cell.name!r} has {len(cell.state_sizes)} tensors in its state and the "
                    f"state_names {names}; give each a name of its own, or leave state_names out"
                )
            for index, name in enumerate(names):
                places.append(StatePlace(f"state_{number}_{prefix}{name}", number, direction, index))
    return places


def state_parts(layers: Sequence[Layer]) -> list[StatePart]:
    """The same, each with its initial value.

    Raises:
        ExportError: also where a cell's sequences do not all start alike.
    """
    parts = []
    for place in state_places(layers):
        cell = layers[place.layer].directed_cells[place.direction]
        like = next(iter(cell.parameters()), torch.zeros(()))
        rows = cell.initial_state(2, like)[place.index]
        if not torch.equal(rows[0], rows[1]):
            raise ExportError(
                f"layer {place.layer}: the cell {cell.name!r} starts each sequence with another state; "
                "make every row of its initial_state() the same"
            )
        parts.append(StatePart(place.name, place.layer, place.direction, place.index, rows[0].detach()))
    return parts


def starting_states(
    layers: Sequence[Layer], given: Mapping[str, Tensor], batch: int, like: Tensor
) -> list[list[State]]:
    """The state of each direction of each layer before the first step, as a stack takes them.

    Args:
        given: (batch, n) by name; what is left out is as the cell starts by itself.
        batch: how many sequences.
        like: for dtype and device.

    Raises:
        DataError: where one is given that there is not.
    """
    places = state_places(layers)
    if unknown := sorted(given.keys() - {place.name for place in places}):
        names = ", ".join(place.name for place in places) or "none"
        raise DataError(f"the model has no state {unknown[0]!r}; its states are: {names}")
    start = [[list(state) for state in layer.initial_state(batch, like)] for layer in layers]
    for place in places:
        if place.name in given:
            start[place.layer][place.direction][place.index] = given[place.name]
    return [[tuple(state) for state in layer] for layer in start]
