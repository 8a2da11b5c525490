"""Named state tensors of a model, for callers that keep the state between calls, as in streaming."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import DataError, ExportError
from zoo.nn.cell import Cell, State
from zoo.nn.recurrent import Layer


@dataclass(frozen=True)
class StatePlace:
    """Position and names of one state tensor."""

    name: str
    """Name before the first step: ``state_0_h`` for layer 0 and the cell's state ``h``; in a bidirectional layer
    ``state_0_forward_h`` and ``state_0_reverse_h``."""
    layer: int
    """Index of the layer, from the input."""
    direction: int
    """Index of the cell in the layer: 0, or 1 for the reverse direction of a bidirectional layer."""
    index: int
    """Index of the tensor in the state of the cell."""

    @property
    def next_name(self) -> str:
        """Name after the last step."""
        return f"next_{self.name}"


@dataclass(frozen=True)
class StatePart(StatePlace):
    """Position, names and initial value of one state tensor (batch, n)."""

    initial: Tensor
    """(n,), the initial value of every sequence."""


def state_places(layers: Sequence[Layer]) -> list[StatePlace]:
    """List the state tensors of all layers, in the order of layers, directions and states.

    Raises:
        ExportError: a cell has another number of ``state_names`` than of states, or the same name twice.
    """
    places = []
    for number, layer in enumerate(layers):
        directions = ("forward_", "reverse_") if len(layer.directed_cells) == 2 else ("",)
        for direction, (cell, prefix) in enumerate(zip(layer.directed_cells, directions, strict=True)):
            for index, name in enumerate(state_names(number, cell)):
                places.append(StatePlace(f"state_{number}_{prefix}{name}", number, direction, index))
    return places


def state_names(layer: int, cell: Cell) -> tuple[str, ...]:
    """Return the names of a cell's states: those that it gives, or numbers.

    Raises:
        ExportError: the cell has another number of ``state_names`` than of states, or the same name twice.
    """
    names = cell.state_names or tuple(map(str, range(len(cell.state_sizes))))
    if not len(set(names)) == len(names) == len(cell.state_sizes):
        raise ExportError(
            f"layer {layer}: the cell {cell.name!r} has {len(cell.state_sizes)} tensors in its state and the "
            f"state_names {names}; give each a name of its own, or leave state_names out"
        )
    return names


def state_parts(layers: Sequence[Layer]) -> list[StatePart]:
    """List the state tensors of all layers with their initial values.

    Args:
        layers: layers of a stack, from the input.

    Raises:
        ExportError: as for `state_places`, or a cell's sequences start with different states.
    """
    parts = []
    for place in state_places(layers):
        cell = layers[place.layer].directed_cells[place.direction]
        like = next(iter(cell.parameters()), torch.zeros(()))
        rows = cell.initial_state(2, like)[place.index]
        if not torch.equal(rows[0], rows[1]):
            raise ExportError(
                f"layer {place.layer}: the cell {cell.name!r} gives different initial states to the sequences of a "
                "batch; make every row of its initial_state() the same"
            )
        parts.append(StatePart(place.name, place.layer, place.direction, place.index, rows[0].detach()))
    return parts


def starting_states(
    layers: Sequence[Layer], given: Mapping[str, Tensor], batch: int, like: Tensor
) -> list[list[State]]:
    """Return the initial states of each layer and direction, in the form that a stack takes.

    Args:
        layers: layers of the stack.
        given: tensors (batch, n) by the names of `state_places`; the others are the cells' own initial states.
        batch: number of sequences.
        like: tensor with the dtype and the device of the states.

    Raises:
        DataError: a given name is not the name of a state.
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
