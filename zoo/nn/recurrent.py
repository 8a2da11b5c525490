"""Time: how a cell becomes a layer and layers become a stack. The one place that knows about steps and directions.

Inside, everything is time major: (time, batch, features).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from zoo.config import Config, Fraction
from zoo.errors import SpecError
from zoo.nn.cell import Cell, CellConfig, State
from zoo.nn.kernel import FusedKernel, kernels_run
from zoo.nn.lengths import at_last_step, reverse_sequences, valid_steps
from zoo.nn.pooling import Pooling

Direction = Literal["forward", "reverse", "bidirectional"]

REVERSED: dict[Direction, tuple[bool, ...]] = {
    "forward": (False,),
    "reverse": (True,),
    "bidirectional": (False, True),
}
"""For each direction, which of a layer's cells read the sequence from its end."""


class Unrolled(NamedTuple):
    """What a layer or a stack gives for a batch of sequences."""

    outputs: Tensor
    """(time, batch, output_size), exactly zero beyond each length."""
    last: Tensor
    """(batch, output_size): the output of each direction at the last valid step that it reads, side by side. Of the
    reverse direction that is the first step in time."""
    states: list[Any]
    """The state of each direction (of each layer, for a stack) after the last valid step that it reads."""


def run_cell(cell: Cell, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, Tensor, State]:
    """Run a cell forward over x (time, batch, input_size).

    Returns the outputs (time, batch, output_size), exactly zero beyond each length, and the output and the state of
    each sequence's last valid step.
    """
    mask = None if lengths is None else valid_steps(lengths, x.shape[0])
    if mask is not None:
        # Backward multiplies what stands in the padding by zero, and zero times NaN is NaN: let nothing stand there.
        x = x.where(mask, x.new_zeros(()))
    outputs: list[Tensor] = []
    for index, step in enumerate(cell.project(x).unbind(0)):
        output, proposed = cell.step(step, state)
        if mask is not None:
            proposed = tuple(torch.where(mask[index], new, old) for new, old in zip(proposed, state, strict=True))
        state = proposed
        outputs.append(output)
    stacked = torch.stack(outputs)
    if mask is None:
        return stacked, outputs[-1], state
    return stacked.where(mask, stacked.new_zeros(())), at_last_step(stacked, lengths), state


class StackConfig(Config):
    """The options of every architecture, beside its cell's own."""

    num_layers: Annotated[int, Field(gt=0, le=100)] = 1
    """Layers on top of each other."""
    dropout: Fraction = 0.0
    """Share of the values between two layers that training sets to zero."""
    pooling: Pooling | None = None
    """How a sequence of outputs becomes one vector: ``last`` when left out, none where each step has an answer."""
    implementation: Literal["auto", "fused", "cell"] = "auto"
    """fused: torch.nn's kernels; cell: the step as written; auto: fused where it exists."""


class DirectedStackConfig(StackConfig):
    """The options of an architecture whose direction the spec chooses."""

    direction: Direction = "forward"
    """How the sequence is read."""


class Layer(nn.Module):
    """A cell run over time in one direction or in both, the outputs of both side by side.

    An architecture that fixes more than its cell (a direction, say) is a subclass, registered through
    ``zoo_register_layers``.
    """

    name: ClassVar[str]
    cell: ClassVar[type[Cell]]
    fixed_direction: ClassVar[Direction | None] = None
    """The only direction that this architecture has, or None where the spec chooses."""

    def __init__(self, input_size: int, config: StackConfig) -> None:
        super().__init__()
        self.direction = self.fixed_direction or cast("DirectedStackConfig", config).direction
        make_cell = cast("Callable[[int, CellConfig], Cell]", self.cell)
        cell_config = cast("CellConfig", config)
        self.cells = nn.ModuleList(make_cell(input_size, cell_config) for _ in REVERSED[self.direction])
        self.output_size = sum(cell.output_size for cell in self.directed_cells)
        has_kernel = self.directed_cells[0].kernel() is not None
        if config.implementation == "fused" and not has_kernel:
            raise SpecError(
                f"architecture.implementation: {self.name} with these options has no fused kernel; use 'cell' or 'auto'"
            )
        self.fused = has_kernel and config.implementation != "cell"
        """Whether a torch.nn kernel computes this layer, or the cell's own steps. The parameters are the same."""
        self._kernel: FusedKernel | None = None

    @property
    def directed_cells(self) -> list[Cell]:
        """The layer's cells, one for each direction, forward first."""
        return [cast("Cell", cell) for cell in self.cells]

    def _current_kernel(self) -> FusedKernel:
        """The kernel over the parameters that the cells have now: moving, copying or loading may have replaced them."""
        kernels = [kernel for cell in self.directed_cells if (kernel := cell.kernel())]
        if self._kernel is None or not self._kernel.computes_with(kernels):
            self._kernel = FusedKernel(kernels)
        return self._kernel

    def initial_state(self, batch: int, like: Tensor) -> list[State]:
        """The state before the first step, for each direction."""
        return [cell.initial_state(batch, like) for cell in self.directed_cells]

    def forward(self, x: Tensor, lengths: Tensor | None = None, states: Sequence[State] | None = None) -> Unrolled:
        """Run the layer.

        Args:
            x: (time, batch, input_size).
            lengths: (batch,) valid steps of each sequence, at least 1; None where all are full.
            states: one initial state for each direction; zeros when None.
        """
        if states is None:
            states = self.initial_state(x.shape[1], x)
        reversals = REVERSED[self.direction]
        kernel = self._current_kernel() if self.fused and kernels_run(x) else None
        if kernel is not None and reversals != (True,):
            return Unrolled(*kernel.run(x, states, lengths))
        outputs, lasts, finals = [], [], []
        for cell, reverse, state in zip(self.directed_cells, reversals, states, strict=True):
            inputs = reverse_sequences(x, lengths) if reverse else x
            if kernel is not None:
                output, last, (final,) = kernel.run(inputs, [state], lengths)
            else:
                output, last, final = run_cell(cell, inputs, state, lengths)
            outputs.append(reverse_sequences(output, lengths) if reverse else output)
            lasts.append(last)
            finals.append(final)
        if len(outputs) == 1:
            return Unrolled(outputs[0], lasts[0], finals)
        return Unrolled(torch.cat(outputs, 2), torch.cat(lasts, 1), finals)


class Stack(nn.Module):
    """Layers on top of each other, with dropout between them."""

    def __init__(self, layer: type[Layer], input_size: int, config: StackConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for _ in range(config.num_layers):
            self.layers.append(layer(input_size, config))
            input_size = self.ordered_layers[-1].output_size
        self.output_size = input_size
        self.dropout = nn.Dropout(config.dropout)

    @property
    def ordered_layers(self) -> list[Layer]:
        """The layers from the input to the output."""
        return [cast("Layer", layer) for layer in self.layers]

    @property
    def direction(self) -> Direction:
        return self.ordered_layers[0].direction

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, states: Sequence[Sequence[State]] | None = None
    ) -> Unrolled:
        """Run all layers over x (time, batch, input_size); ``states`` are those of each layer, as it takes them."""
        finals, last = [], x
        for index, layer in enumerate(self.ordered_layers):
            if index:
                x = self.dropout(x)
            x, last, final = layer(x, lengths, states[index] if states is not None else None)
            finals.append(final)
        return Unrolled(x, last, finals)
