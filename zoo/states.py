"""What a model carries from step to step, by name: for callers that hold it themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.cell import State
from zoo.errors import ExportError
from zoo.recurrent import Layer


@dataclass(frozen=True)
class StatePart:
    """One tensor of the state of one direction of one layer, (batch, n)."""

    name: str
    """What it is called before the first step: ``state_0_h`` by layer and part; with both directions in a layer
    ``state_0_forward_h`` and ``state_0_reverse_h``."""
    layer: int
    direction: int
    """The layer's cell: 0, or 1 for the second direction of a bidirectional one."""
    index: int
    """Its place in the state."""
    initial: Tensor
    """(n,): what every sequence starts with."""

    @property
    def next_name(self) -> str:
        """What it is called after the last step."""
        return f"next_{self.name}"


def state_parts(layers: Sequence[Layer]) -> list[StatePart]:
    """Everything that the layers carry, in their order.

    Raises:
        ExportError: where a cell's sequences do not all start alike.
    """
    parts = []
    for number, layer in enumerate(layers):
        directions = ("forward_", "reverse_") if len(layer.directed_cells) == 2 else ("",)
        for direction, (cell, prefix) in enumerate(zip(layer.directed_cells, directions, strict=True)):
            like = next(iter(cell.parameters()), torch.zeros(()))
            for index, rows in enumerate(cell.initial_state(2, like)):
                if not torch.equal(rows[0], rows[1]):
                    raise ExportError(
                        f"layer {number}: the cell {cell.name!r} starts each sequence with another state; "
                        "make every row of its initial_state() the same"
                    )
                part = cell.state_names[index] if cell.state_names else str(index)
                parts.append(StatePart(f"state_{number}_{prefix}{part}", number, direction, index, rows[0].detach()))
    return parts


def by_layer(parts: Sequence[StatePart], values: Mapping[str, Tensor]) -> list[list[State]]:
    """Values by name -> the state of each direction of each layer, as a stack takes them."""
    found: dict[int, dict[int, list[Tensor]]] = {}
    for part in parts:
        found.setdefault(part.layer, {}).setdefault(part.direction, []).append(values[part.name])
    return [[tuple(state) for state in layer.values()] for layer in found.values()]
