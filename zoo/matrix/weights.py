"""The weights of the matrix: as a layer draws them, with a louder memory, or each gate block a number of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from zoo.nn.cell import Cell
from zoo.nn.recurrent import Stack

GAIN = 3.0


def amplify(stack: Stack) -> None:
    """Multiply every weight that acts on the state by `GAIN`, in place: the more, the nearer to chaos."""
    with torch.no_grad():
        for layer in stack.ordered_layers:
            for cell in layer.directed_cells:
                for name, mask in recurrent(cell).items():
                    parameter = cell.get_parameter(name)
                    parameter.copy_(torch.where(mask, GAIN * parameter, parameter))


def recurrent(cell: Cell) -> Mapping[str, Tensor]:
    """Which entries of a cell's parameters act on its state: a mask for each parameter that has any.

    They are the columns of matrices, and the vectors, of which one step feels nothing where the state is zero (every
    gradient is 0) and something where the input is zero. This asks neither for names nor for shapes, and finds them too
    where input and state share one matrix. A vector that scales the state alone is among them, be it the bias of a
    forget gate. A step that goes on from a state of its own making, as one with a solver inside, feels everything
    always: of such a cell nothing is found, and its gain stays 1.
    """
    without_state, without_input = _felt(cell, state=0.0, x=1.0), _felt(cell, state=1.0, x=0.0)
    masks = {
        name: (~without_state[name].any(0) & felt.any(0)).expand_as(felt)
        for name, felt in without_input.items()
        if felt.dim()
    }
    return {name: mask for name, mask in masks.items() if mask.any()}


def _felt(cell: Cell, *, state: float, x: float, batch: int = 64) -> dict[str, Tensor]:
    """Whether a change of each entry of each parameter moves what one step gives, from random inputs and states of
    that size."""
    generator = torch.Generator().manual_seed(0)
    parameters = dict(cell.named_parameters())
    like = next(iter(parameters.values()), torch.zeros(()))

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(like)

    with torch.enable_grad():
        start = cell.initial_state(batch, like)
        before = tuple(state * noise(*one.shape) if one.is_floating_point() else one for one in start)
        output, after = cell.step(cell.project(x * noise(1, batch, cell.input_size))[0], before)
        moved = [(one * noise(*one.shape)).sum() for one in (output, *after) if one.requires_grad]
        if not moved:
            return {}
        found = torch.autograd.grad(torch.stack(moved).sum(), list(parameters.values()), allow_unused=True)
    none = {name: torch.zeros_like(one, dtype=torch.bool) for name, one in parameters.items()}
    return none | {name: one != 0 for name, one in zip(parameters, found, strict=True) if one is not None}


def number_gates(stack: Stack, hidden_size: int) -> None:
    """Fill each gate block of each parameter with a number that no other block of its layer has, in place.

    A block is ``hidden_size`` rows. The numbers are between 0 and 1, those of a matrix divided by its width: so no sum
    is larger than what comes in, no ReLU grows without bound, and two blocks that change places move the output by far
    more than rounding does.
    """
    with torch.no_grad():
        for layer in stack.ordered_layers:
            blocks = [block for one in layer.cells.parameters() for block in _blocks(one, hidden_size)]
            for number, block in enumerate(blocks, 1):
                width = block[0].numel()
                block.fill_(number / (len(blocks) + 1) / width)


def _blocks(parameter: Tensor, rows: int) -> Iterable[Tensor]:
    table = parameter if parameter.dim() else parameter[None]  # no other view: a parameter may lie in any order
    return (table[start : start + rows] for start in range(0, len(table), rows))
