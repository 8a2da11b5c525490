"""Cells over time: layers, and stacks of layers. No other module runs steps or handles directions.

Tensors are time major here: (time, batch, features).
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
from zoo.nn.kernel import FusedKernel, kernels_available
from zoo.nn.lengths import at_last_step, reverse_sequences, valid_steps
from zoo.nn.pooling import Pooling

Direction = Literal["forward", "reverse", "bidirectional"]
"""Order in which a layer reads a sequence: from the first step, from the last, or both."""

REVERSED: dict[Direction, tuple[bool, ...]] = {
    "forward": (False,),
    "reverse": (True,),
    "bidirectional": (False, True),
}
"""For each direction, whether each of the layer's cells reads the sequence in reverse."""


class Unrolled(NamedTuple):
    """Result of a layer or a stack for a batch of sequences."""

    outputs: Tensor
    """(time, batch, output_size), exactly zero beyond each length."""
    last: Tensor
    """(batch, output_size): the output of each direction at the last valid step that it reads, side by side; for the
    reverse direction that is the first step in time."""
    states: list[Any]
    """Final state of each direction, after the last valid step that it reads; for a stack one such list for each
    layer."""


def run_cell(cell: Cell, x: Tensor, state: State, lengths: Tensor | None = None) -> tuple[Tensor, Tensor, State]:
    """Run a cell forward over a batch of sequences.

    Args:
        cell: the cell.
        x: (time, batch, input_size).
        state: state before the first step.
        lengths: (batch,) valid steps of each sequence; None if all sequences are full.

    Returns:
        The outputs (time, batch, output_size), exactly zero beyond each length, and the output and the state of each
        sequence at its last valid step.
    """
    mask = None if lengths is None else valid_steps(lengths, x.shape[0])
    if mask is not None:
        # The backward pass multiplies the padding by zero, and zero times NaN is NaN.
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
    """Options of every architecture, in addition to those of its cell."""

    num_layers: Annotated[int, Field(gt=0, le=100)] = 1
    """Number of layers, each of which reads the outputs of the one below."""
    dropout: Fraction = 0.0
    """Share of the values between two layers that training sets to zero."""
    pooling: Pooling | None = None
    """Reduction of a sequence of outputs to one vector: by default ``last``, or none where each step has a target."""
    implementation: Literal["auto", "fused", "cell"] = "auto"
    """fused: torch.nn's kernels; cell: the step as written; auto: fused if the cell has a kernel."""


class DirectedStackConfig(StackConfig):
    """Options of an architecture whose direction the spec chooses."""

    direction: Direction = "forward"
    """Order in which a sequence is read; bidirectional reads it in both."""


class Layer(nn.Module):
    """A cell run over time in one direction or both; the outputs of both directions are side by side.

    An architecture that fixes more than its cell, such as a direction, is a subclass that sets ``name``, ``cell`` and
    ``fixed_direction``. The hook ``zoo_register_layers`` registers it.

    Args:
        input_size: features of the input at each step.
        config: options of the stack and of the cell in one object, with a ``direction`` unless it is fixed.

    Raises:
        SpecError: ``implementation`` is ``fused`` and the cell has no kernel with these options.
    """

    name: ClassVar[str]
    """Name of the architecture in specs."""
    cell: ClassVar[type[Cell]]
    """Class of the cells."""
    fixed_direction: ClassVar[Direction | None] = None
    """The only direction of this architecture; None if the spec chooses."""

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
        """Whether a torch.nn kernel computes this layer, instead of the cell's steps. The parameters are the same."""
        self._kernel: FusedKernel | None = None

    @staticmethod
    def of_cells(cells: Sequence[Cell], direction: Direction | None = None) -> Layer:
        """Return a layer of existing cells, for use inside any module.

        Args:
            cells: one, or one for each direction, forward first.
            direction: in which the cells read; by default forward for one cell and bidirectional for two.

        Raises:
            ValueError: the number of cells is not that of the direction.
        """
        layer = Layer.__new__(Layer)
        nn.Module.__init__(layer)
        layer.direction = direction or ("forward" if len(cells) == 1 else "bidirectional")
        if len(cells) != len(REVERSED[layer.direction]):
            raise ValueError(f"{len(cells)} cells; direction {layer.direction} has {len(REVERSED[layer.direction])}")
        layer.cells = nn.ModuleList(cells)
        layer.output_size = sum(cell.output_size for cell in cells)
        layer.fused, layer._kernel = all(cell.kernel() is not None for cell in cells), None
        return layer

    @property
    def directed_cells(self) -> list[Cell]:
        """Cells of the layer, one for each direction, forward first."""
        return [cast("Cell", cell) for cell in self.cells]

    def _current_kernel(self) -> FusedKernel:
        """Return the kernel over the present parameters of the cells.

        Moving, copying or loading the layer may replace its parameters; the kernel is then created anew.
        """
        kernels = [kernel for cell in self.directed_cells if (kernel := cell.kernel())]
        if self._kernel is None or not self._kernel.computes_with(kernels):
            self._kernel = FusedKernel(kernels)
        return self._kernel

    def initial_state(self, batch: int, like: Tensor) -> list[State]:
        """Return the state before the first step, for each direction.

        Args:
            batch: number of sequences.
            like: tensor with the dtype and the device of the states.
        """
        return [cell.initial_state(batch, like) for cell in self.directed_cells]

    def forward(self, x: Tensor, lengths: Tensor | None = None, states: Sequence[State] | None = None) -> Unrolled:
        """Run the layer over a batch of sequences.

        Args:
            x: (time, batch, input_size).
            lengths: (batch,) valid steps of each sequence, at least 1; None if all sequences are full.
            states: initial state of each direction; None for the cells' own.
        """
        if states is None:
            states = self.initial_state(x.shape[1], x)
        reversals = REVERSED[self.direction]
        kernel = self._current_kernel() if self.fused and kernels_available(x) else None
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
    """Layers of one architecture, each reading the outputs of the one below, with dropout between them.

    Args:
        layer: class of the layers.
        input_size: features of the input at each step.
        config: options of the stack and of the cell; see `Layer`.
    """

    def __init__(self, layer: type[Layer], input_size: int, config: StackConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for _ in range(config.num_layers):
            self.layers.append(layer(input_size, config))
            input_size = self.ordered_layers[-1].output_size
        self.output_size = input_size
        self.dropout = nn.Dropout(config.dropout)

    @classmethod
    def of_layers(cls, layers: Sequence[Layer], dropout: float = 0.0) -> Stack:
        """Return a stack of existing layers.

        Args:
            layers: from the input to the output, at least one.
            dropout: share of the values between two layers that training sets to zero.
        """
        stack = cls.__new__(cls)
        nn.Module.__init__(stack)
        stack.layers = nn.ModuleList(layers)
        stack.output_size = layers[-1].output_size
        stack.dropout = nn.Dropout(dropout)
        return stack

    @property
    def ordered_layers(self) -> list[Layer]:
        """Layers from the input to the output."""
        return [cast("Layer", layer) for layer in self.layers]

    @property
    def direction(self) -> Direction:
        """Direction of all layers."""
        return self.ordered_layers[0].direction

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, states: Sequence[Sequence[State]] | None = None
    ) -> Unrolled:
        """Run all layers over a batch of sequences.

        Args:
            x: (time, batch, input_size).
            lengths: (batch,) valid steps of each sequence, at least 1; None if all sequences are full.
            states: initial states of each layer, one for each direction; None for the cells' own.
        """
        finals, last = [], x
        for index, layer in enumerate(self.ordered_layers):
            if index:
                x = self.dropout(x)
            x, last, final = layer(x, lengths, states[index] if states is not None else None)
            finals.append(final)
        return Unrolled(x, last, finals)
