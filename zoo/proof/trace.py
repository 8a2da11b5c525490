"""The values that a model makes on its way from its input to its outputs, recorded while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from zoo.exporting.dissection import ModelValue
from zoo.nn.cell import Cell, State
from zoo.nn.lengths import reverse_sequences, valid_steps
from zoo.nn.model import Model
from zoo.nn.recurrent import REVERSED, Layer, Unrolled

Values = dict[ModelValue, Tensor]
"""In the order of the model; (batch, time, n), or (batch, …) for a value without steps."""


def has_steps(model: Model, value: ModelValue) -> bool:
    """Whether a value is (batch, time, …)."""
    if value.kind in ("scores", "named"):
        return model.by_step and value.name not in {place.next_name for place in model.state_places()}
    return value.kind != "pooled"


def reads_backward(model: Model, value: ModelValue) -> bool:
    """Whether a value belongs to a direction that reads a sequence from its end, so that its last step is its first."""
    return value.kind in ("state", "output") and REVERSED[model.layers()[value.layer].direction][value.direction]


def in_words(model: Model, value: ModelValue) -> str:
    """Such as ``layer 1, reverse, state h``."""
    if value.kind == "named":
        return f"output {value.name}"
    if value.kind not in ("state", "output", "outputs"):
        return value.kind
    layer = model.layers()[value.layer]
    if value.kind == "outputs":
        return f"layer {value.layer}, outputs"
    direction = "reverse" if reads_backward(model, value) else "forward"
    if value.kind == "output":
        return f"layer {value.layer}, {direction}, output"
    return f"layer {value.layer}, {direction}, state {part_name(layer.directed_cells[value.direction], value.part)}"


def part_name(cell: Cell, part: int) -> str:
    """What a part of a cell's state is called."""
    return cell.state_names[part] if cell.state_names else str(part)


def trace(model: Model, x: Tensor, lengths: Tensor | None, states: Mapping[str, Tensor] | None) -> Values:
    """Run a model and keep what it makes.

    Args:
        model: its layers in the cells' own steps (``fused`` off).
        x: the other arguments are those of `zoo.Model.outputs`.

    Returns:
        Every value, its steps in the order of time. Beyond a sequence's length outputs are zero, and states are what
        the direction has there: forward the final ones, backward the initial ones.
    """
    found: Values = {}
    with ExitStack() as stack:
        keep = stack.enter_context
        keep(_watched(model.encoder, lambda _, out: found.update({ModelValue("encoded"): out})))
        for index, layer in enumerate(model.layers()):
            records = [keep(_recorded(cell)) for cell in layer.directed_cells]
            keep(_watched(layer, partial(_gather, found, index, layer, records, lengths)))
        if not model.by_step:
            keep(_watched(model.head, lambda given, _: found.update({ModelValue("pooled"): given[0]})))
        keep(_watched(model.readout, lambda given, _: found.update({ModelValue("scores"): given[0]})))
        named = model.outputs(x, lengths, states)
    return found | {ModelValue("named", name=name): value for name, value in named.items()}


def _gather(
    found: Values, index: int, layer: Layer, records: list[_Record], lengths: Tensor | None, _: object, out: Unrolled
) -> None:
    """Put down what a layer has just made."""
    for direction, (record, reverse) in enumerate(zip(records, REVERSED[layer.direction], strict=True)):
        found.update(record.values(index, direction, reverse, lengths))
    found[ModelValue("outputs", index)] = out.outputs.transpose(0, 1)


@contextmanager
def _watched(module: torch.nn.Module, tell: Callable[[Any, Any], None]) -> Iterator[None]:
    """Tell what a module was given and what it gave."""
    handle = module.register_forward_hook(lambda _, given, out: tell(given, out))
    try:
        yield
    finally:
        handle.remove()


class _Record:
    """What one cell did at each step, in the order in which it read them."""

    def __init__(self) -> None:
        self.start: State = ()
        self.outputs: list[Tensor] = []
        self.states: list[State] = []

    def values(self, layer: int, direction: int, reverse: bool, lengths: Tensor | None) -> Values:
        found: Values = {}
        for part, first in enumerate(self.start):
            states = torch.stack([state[part] for state in self.states])
            in_time = self._in_time(states, reverse, lengths, first)
            found[ModelValue("state", layer, direction, part)] = in_time.transpose(0, 1)
        outputs = torch.stack(self.outputs)
        in_time = self._in_time(outputs, reverse, lengths, outputs.new_zeros(()))
        if lengths is not None:
            in_time = in_time.where(valid_steps(lengths, len(in_time)), in_time.new_zeros(()))
        found[ModelValue("output", layer, direction)] = in_time.transpose(0, 1)
        return found

    @staticmethod
    def _in_time(read: Tensor, reverse: bool, lengths: Tensor | None, first: Tensor) -> Tensor:
        """(time, batch, n) in the order of reading -> of time, with what a state is beyond each length."""
        if reverse:
            turned = reverse_sequences(read, lengths)
            return turned if lengths is None else turned.where(valid_steps(lengths, len(read)), first)
        if lengths is None:
            return read
        steps = torch.minimum(torch.arange(len(read))[:, None], lengths - 1)
        return read.gather(0, steps[:, :, None].expand_as(read))


@contextmanager
def _recorded(cell: Cell) -> Iterator[_Record]:
    """Keep what a cell's `step` gives."""
    record, step = _Record(), cell.step

    def recording(x: Tensor, state: State) -> tuple[Tensor, State]:
        record.start = record.start or state
        output, after = step(x, state)
        record.outputs.append(output)
        record.states.append(after)
        return output, after

    cell.__dict__["step"] = recording  # of this cell alone, in front of its class's own
    try:
        yield record
    finally:
        del cell.__dict__["step"]
