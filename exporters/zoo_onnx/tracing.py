"""Tracing: a cell's own `project` and `step`, turned into ONNX nodes by torch.onnx.

Only one step is traced, and at a batch that is free, so neither the time nor the size of a file depends on the length
of a sequence. All cells are traced in one go: what torch.onnx needs besides takes a second, whatever there is to trace.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any

import onnx_ir as ir
import onnxscript.optimizer
import torch
from torch import Tensor, nn

import zoo
from zoo_onnx.folding import work_out
from zoo_onnx.kernels import compute_in_wider_types
from zoo_onnx.piece import CellPieces, Piece, is_parameter
from zoo_onnx.untraceable import (
    missing_operation,
    refuse_frozen_sizes,
    refuse_what_cannot_be_written,
    untraceable,
)

TIME, BATCH = 5, 7
"""Sizes to trace at. 0 and 1 would be frozen; that these two differ keeps one from being taken for the other."""
FREE = torch.export.Dim.AUTO
"""Any size, unless the code of a cell asks for it; which `refuse_frozen_sizes` finds."""


def trace(stack: zoo.Stack, wanted: Sequence[tuple[int, int]], opset: int) -> dict[tuple[int, int], CellPieces]:
    """Trace cells of a stack.

    Args:
        stack: in the mode of inference, float32, on the CPU.
        wanted: layer and direction of each, at least one.
        opset: the version of ONNX's operators to write.

    Raises:
        ExportError: naming the cell, the line and what is in the way.
    """
    cells = [stack.ordered_layers[layer].directed_cells[direction] for layer, direction in wanted]
    examples = [_example(cell) for cell in cells]
    steps = _Steps(stack, cells)
    with _quiet(), torch.no_grad():
        try:
            free = ([_free(one) for one in examples],)
            traced = torch.export.export(steps, (examples,), dynamic_shapes=free, strict=False)
            refuse_frozen_sizes(traced, cells[0], examples[0])
            program = _in_onnx(traced, opset)
        except zoo.ExportError:
            raise
        except Exception as error:  # torch's own, or whatever the code of a cell raises
            raise untraceable(error, cells[0], examples[0]) from error
        onnxscript.optimizer.optimize_ir(program.model, should_fold=_spare_weights)
    graph = program.model.graph
    inputs, outputs = iter(graph.inputs), iter([_source(value) for value in graph.outputs])
    graph.outputs.clear()
    found = {}
    for place, example in zip(wanted, examples, strict=True):
        sequence, x, *state = [next(inputs) for _ in example]
        projected, output, *after = [next(outputs) for _ in example]
        found[place] = CellPieces(Piece([sequence], [projected]), Piece([x, *state], [output, *after]))
        for piece in (found[place].project, found[place].step):
            refuse_what_cannot_be_written(piece.nodes(), cells[0], example)
            compute_in_wider_types(piece, opset)
    return found


def _in_onnx(traced: torch.export.ExportedProgram, opset: int) -> torch.onnx.ONNXProgram:
    """A traced program in ONNX; what ONNX has no equal of is worked out first, as far as weights alone give it."""
    while True:
        try:
            program = torch.onnx.export(traced, (), dynamo=True, opset_version=opset, optimize=False, verbose=False)
        except Exception as error:
            missing = missing_operation(error)
            if missing is None or not work_out(traced, missing):
                raise
        else:
            assert program is not None
            return program


def _source(value: ir.Value) -> ir.Value:
    """What a value is a copy of, or itself: so that an output that is a part of the state too can be known as one."""
    while (node := value.producer()) is not None and node.op_type == "Identity" and node.inputs[0] is not None:
        value = node.inputs[0]
    return value


class _Steps(nn.Module):
    """Every cell's `project` and `step`, side by side."""

    def __init__(self, stack: zoo.Stack, cells: Sequence[zoo.Cell]) -> None:
        super().__init__()
        self.stack = stack  # so that parameters are called what they are called in the model
        self._steps = [(cell.project, cell.step) for cell in cells]

    def forward(self, examples: list[tuple[Tensor, ...]]) -> list[tuple[Tensor, ...]]:
        found = []
        for (project, step), (sequence, x, *state) in zip(self._steps, examples, strict=True):
            output, after = step(x, tuple(state))
            found.append((project(sequence), output, *after))
        return found


def _example(cell: zoo.Cell) -> tuple[Tensor, ...]:
    """A sequence, one step of what `project` makes of it, and a state."""
    sequence = torch.zeros(TIME, BATCH, cell.input_size)
    with torch.no_grad():
        x = cell.project(sequence)[0]
        return (sequence, x, *(part.clone() for part in cell.initial_state(BATCH, x)))


def _free(example: Sequence[Tensor]) -> tuple[Any, ...]:
    return ({0: FREE, 1: FREE}, *({0: FREE} for _ in example[1:]))


def _spare_weights(node: ir.Node) -> bool | None:
    """Parameters stay as they are in the model, once; ONNX Runtime transposes and the like when it loads them."""
    return False if any(value is not None and is_parameter(value) for value in node.inputs) else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's and onnxscript's chatter about themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # torch gives its loggers levels of their own
    try:
        # Where a trace fails, torch prints what it had got so far to stderr, past its loggers.
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
