"""Weights of the matrix: as drawn, with amplified recurrent weights, or with a number of its own in each gate block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from zoo.nn.cell import Cell
from zoo.nn.recurrent import Stack

GAIN = 3.0


def amplify(stack: Stack) -> None:
    """Multiply every weight that acts on the state by `GAIN`, in place; a large gain makes a cell chaotic."""
    with torch.no_grad():
        for layer in stack.ordered_layers:
            for cell in layer.directed_cells:
                for name, mask in recurrent(cell).items():
                    parameter = cell.get_parameter(name)
                    parameter.copy_(torch.where(mask, GAIN * parameter, parameter))


def recurrent(cell: Cell) -> Mapping[str, Tensor]:
    """Return a mask of the entries that act on the state, for each parameter of a cell that has any.

    They are the columns of matrices, and the vectors, whose gradient is 0 at every entry in a step with state zero, and
    not 0 in a step with input zero. This needs neither names nor shapes of parameters, and also works where input and
    state share one matrix. A vector that scales the state alone is included, such as the bias of a forget gate. A step
    that starts from a state of its own, as a solver inside a step does, has gradients in both: such a cell has no
    masks, and its gain stays 1.
    """
    without_state, without_input = _has_gradient(cell, state=0.0, x=1.0), _has_gradient(cell, state=1.0, x=0.0)
    masks = {
        name: (~without_state[name].any(0) & entries.any(0)).expand_as(entries)
        for name, entries in without_input.items()
        if entries.dim()
    }
    return {name: mask for name, mask in masks.items() if mask.any()}


def _has_gradient(cell: Cell, *, state: float, x: float, batch: int = 64) -> dict[str, Tensor]:
    """Return, for each parameter, which entries change the output or the state of one step.

    The step has random inputs of scale ``x`` and random states of scale ``state``.
    """
    generator = torch.Generator().manual_seed(0)
    parameters = dict(cell.named_parameters())
    like = next(iter(parameters.values()), torch.zeros(()))

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(like)

    with torch.enable_grad():
        start = cell.initial_state(batch, like)
        before = tuple(state * noise(*part.shape) if part.is_floating_point() else part for part in start)
        output, after = cell.step(cell.project(x * noise(1, batch, cell.input_size))[0], before)
        results = [(result * noise(*result.shape)).sum() for result in (output, *after) if result.requires_grad]
        if not results:
            return {}
        gradients = torch.autograd.grad(torch.stack(results).sum(), list(parameters.values()), allow_unused=True)
    return {
        name: torch.zeros_like(parameter, dtype=torch.bool) if gradient is None else gradient != 0
        for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True)
    }


def number_gates(stack: Stack, hidden_size: int) -> None:
    """Fill each gate block of each parameter with a number that no other block of its layer has, in place.

    A block is ``hidden_size`` rows. The numbers are between 0 and 1, those of a matrix divided by its width: so no sum
    exceeds the largest input, no ReLU grows without bound, and exchanging two blocks moves the output by far more than
    rounding does.
    """
    with torch.no_grad():
        for layer in stack.ordered_layers:
            blocks = [block for parameter in layer.cells.parameters() for block in _blocks(parameter, hidden_size)]
            for number, block in enumerate(blocks, 1):
                width = block[0].numel()
                block.fill_(number / (len(blocks) + 1) / width)


def _blocks(parameter: Tensor, rows: int) -> Iterable[Tensor]:
    table = parameter if parameter.dim() else parameter[None]  # no reshape: a parameter may be non-contiguous
    return (table[start : start + rows] for start in range(0, len(table), rows))
