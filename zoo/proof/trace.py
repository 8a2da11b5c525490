"""Values inside a model, from its encoder to its outputs, recorded during a run."""

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
"""Values in the order in which the model computes them; (batch, time, n), or (batch, …) without steps."""


def has_steps(model: Model, value: ModelValue) -> bool:
    """Whether a value has a time axis: (batch, time, …)."""
    if value.kind in ("scores", "named"):
        return model.by_step and value.name not in {place.next_name for place in model.state_places()}
    return value.kind != "pooled"


def reads_backward(model: Model, value: ModelValue) -> bool:
    """Whether a value belongs to a direction that reads a sequence from its end."""
    return value.kind in ("state", "output") and REVERSED[model.layers()[value.layer].direction][value.direction]


def describe_value(model: Model, value: ModelValue) -> str:
    """Return a description of a value, such as ``layer 1, reverse, state h``."""
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
    names = layer.directed_cells[value.direction].state_names
    return f"layer {value.layer}, {direction}, state {names[value.part] if names else value.part}"


def trace(model: Model, x: Tensor, lengths: Tensor | None, states: Mapping[str, Tensor] | None) -> Values:
    """Run a model and return the values inside it.

    Args:
        model: its layers run in the cells' own steps (``fused`` off).
        x: the input, as `zoo.Model.outputs` takes it.
        lengths: (batch,) valid steps of each sequence; None where all are full.
        states: initial states by name; None for the model's own.

    Returns:
        Every value, its steps in the order of time. Beyond a sequence's length, outputs are zero; states are the final
        ones in a forward direction, the initial ones in a backward direction.
    """
    values: Values = {}
    with ExitStack() as stack:
        enter = stack.enter_context
        enter(_hooked(model.encoder, lambda _, out: values.update({ModelValue("encoded"): out})))
        for index, layer in enumerate(model.layers()):
            records = [enter(_recorded(cell)) for cell in layer.directed_cells]
            enter(_hooked(layer, partial(_add_layer, values, index, layer, records, lengths)))
        if not model.by_step:
            enter(_hooked(model.head, lambda inputs, _: values.update({ModelValue("pooled"): inputs[0]})))
        enter(_hooked(model.readout, lambda inputs, _: values.update({ModelValue("scores"): inputs[0]})))
        named = model.outputs(x, lengths, states)
    return values | {ModelValue("named", name=name): value for name, value in named.items()}


def _add_layer(
    values: Values, index: int, layer: Layer, records: list[_Record], lengths: Tensor | None, _: object, out: Unrolled
) -> None:
    """Add the values of a layer that has just run."""
    for direction, (record, reverse) in enumerate(zip(records, REVERSED[layer.direction], strict=True)):
        values.update(record.values(index, direction, reverse, lengths))
    values[ModelValue("outputs", index)] = out.outputs.transpose(0, 1)


@contextmanager
def _hooked(module: torch.nn.Module, hook: Callable[[Any, Any], None]) -> Iterator[None]:
    """Call a hook with the inputs and the output of a module each time it runs."""
    handle = module.register_forward_hook(lambda _, inputs, out: hook(inputs, out))
    try:
        yield
    finally:
        handle.remove()


class _Record:
    """Outputs and states of one cell at each step, in the order of reading."""

    def __init__(self) -> None:
        self.start: State = ()
        self.outputs: list[Tensor] = []
        self.states: list[State] = []

    def values(self, layer: int, direction: int, reverse: bool, lengths: Tensor | None) -> Values:
        """Return the values of the direction, its steps in the order of time; see `trace`."""
        values: Values = {}
        for part, first in enumerate(self.start):
            states = torch.stack([state[part] for state in self.states])
            in_time = self._in_time(states, reverse, lengths, first)
            values[ModelValue("state", layer, direction, part)] = in_time.transpose(0, 1)
        outputs = torch.stack(self.outputs)
        in_time = self._in_time(outputs, reverse, lengths, outputs.new_zeros(()))
        if lengths is not None:
            in_time = in_time.where(valid_steps(lengths, len(in_time)), in_time.new_zeros(()))
        values[ModelValue("output", layer, direction)] = in_time.transpose(0, 1)
        return values

    @staticmethod
    def _in_time(read: Tensor, reverse: bool, lengths: Tensor | None, first: Tensor) -> Tensor:
        """Return (time, batch, n) in the order of time instead of reading; beyond each length as for a state."""
        if reverse:
            turned = reverse_sequences(read, lengths)
            return turned if lengths is None else turned.where(valid_steps(lengths, len(read)), first)
        if lengths is None:
            return read
        steps = torch.minimum(torch.arange(len(read))[:, None], lengths - 1)
        return read.gather(0, steps[:, :, None].expand_as(read))


@contextmanager
def _recorded(cell: Cell) -> Iterator[_Record]:
    """Record what a cell's `step` returns, while the context is active."""
    record, step = _Record(), cell.step

    def recording(x: Tensor, state: State) -> tuple[Tensor, State]:
        record.start = record.start or state
        output, after = step(x, state)
        record.outputs.append(output)
        record.states.append(after)
        return output, after

    cell.__dict__["step"] = recording  # on this instance only; it hides the method of the class
    try:
        yield record
    finally:
        del cell.__dict__["step"]
