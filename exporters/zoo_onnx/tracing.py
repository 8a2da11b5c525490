"""From a cell to a Scan body, step 1 of 4: `project` and `step`, traced into ONNX nodes by torch.onnx (next: piece.py).

Only one step is traced, with a free batch size, so neither the time nor the file's size depends on the length of a
sequence. All cells are traced together, since torch.onnx has a fixed cost of about a second for each trace.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr

import onnx_ir as ir
import onnxscript.optimizer
import torch
from torch import Tensor, nn

import zoo
from zoo_onnx.folding import fold
from zoo_onnx.kernels import compute_in_wider_types
from zoo_onnx.piece import COMPUTED, CellPieces, Piece, is_parameter
from zoo_onnx.untraceable import (
    Traced,
    missing_operation,
    refuse_frozen_sizes,
    refuse_unsupported_nodes,
    untraceable,
)

TIME, BATCH = 5, 7
"""Sizes to trace with. 0 and 1 would be frozen; two different sizes keep torch from taking one for the other."""
FREE = torch.export.Dim.AUTO
"""A free size, unless the code of a cell depends on it; `refuse_frozen_sizes` detects that."""


def trace(stack: zoo.Stack, positions: Sequence[tuple[int, int]], opset: int) -> dict[tuple[int, int], CellPieces]:
    """Trace cells of a stack and return their nodes, by position.

    Args:
        stack: in inference mode, float32, on the CPU.
        positions: layer and direction of each cell, at least one.
        opset: version of ONNX's operators to write.

    Raises:
        ExportError: naming the cell, the line and the obstacle.
    """
    cells = [stack.ordered_layers[layer].directed_cells[direction] for layer, direction in positions]
    examples = [_example(cell) for cell in cells]
    first = Traced.of_cell(cells[0], examples[0])
    with quiet(), torch.no_grad():
        try:
            free = ([({0: FREE, 1: FREE}, *({0: FREE} for _ in example[1:])) for example in examples],)
            traced = torch.export.export(_AllCells(stack, cells), (examples,), dynamic_shapes=free, strict=False)
            refuse_frozen_sizes(traced, first)
            program, computed = to_onnx(traced, opset)
        except zoo.ExportError:
            raise
        except Exception as error:  # raised by torch, or by the code of a cell
            raise untraceable(error, first) from error
        onnxscript.optimizer.optimize_ir(program.model, should_fold=_may_fold)
    graph = program.model.graph
    for name in computed & graph.initializers.keys():
        graph.initializers[name].doc_string = COMPUTED
    inputs, outputs = iter(graph.inputs), iter([_without_copies(value) for value in graph.outputs])
    graph.outputs.clear()
    pieces = {}
    for position, example in zip(positions, examples, strict=True):
        sequence, x, *state = [next(inputs) for _ in example]
        projected, output, *after = [next(outputs) for _ in example]
        cell = CellPieces(Piece([sequence], [projected]), Piece([x, *state], [output, *after]), traced=True)
        for piece in (cell.project, cell.step):
            refuse_unsupported_nodes(piece.nodes(), Traced.of_cell(cells[0], example))
            compute_in_wider_types(piece, opset)
        pieces[position] = cell
    return pieces


def to_onnx(traced: torch.export.ExportedProgram, opset: int) -> tuple[torch.onnx.ONNXProgram, set[str]]:
    """Convert a traced program to ONNX; fold operations that ONNX lacks where they depend on weights alone.

    Returns:
        The program, and the names of its constants that were folded.
    """
    computed: set[str] = set()
    while True:
        try:
            program = torch.onnx.export(traced, (), dynamo=True, opset_version=opset, optimize=False, verbose=False)
        except Exception as error:
            missing = missing_operation(error)
            names = [] if missing is None else fold(traced, missing)
            if not names:
                raise
            computed.update(names)
        else:
            assert program is not None
            return program, computed


def _without_copies(value: ir.Value) -> ir.Value:
    """Return the value that Identity nodes copy, so that an output that is also a state is recognised as such."""
    while (node := value.producer()) is not None and node.op_type == "Identity" and node.inputs[0] is not None:
        value = node.inputs[0]
    return value


class _AllCells(nn.Module):
    """Module that calls `project` and `step` of every cell."""

    def __init__(self, stack: zoo.Stack, cells: Sequence[zoo.Cell]) -> None:
        super().__init__()
        self.stack = stack  # gives parameters the names that they have in the model
        self._methods = [(cell.project, cell.step) for cell in cells]

    def forward(self, examples: list[tuple[Tensor, ...]]) -> list[tuple[Tensor, ...]]:
        results = []
        for (project, step), (sequence, x, *state) in zip(self._methods, examples, strict=True):
            output, after = step(x, tuple(state))
            results.append((project(sequence), output, *after))
        return results


def _example(cell: zoo.Cell) -> tuple[Tensor, ...]:
    """Return example arguments: a sequence, one step of its projection, and the initial state."""
    sequence = torch.zeros(TIME, BATCH, cell.input_size)
    with torch.no_grad():
        x = cell.project(sequence)[0]
        return (sequence, x, *(part.clone() for part in cell.initial_state(BATCH, x)))


def _may_fold(node: ir.Node) -> bool | None:
    """Forbid folding of parameters, which the file keeps as the model has them; None leaves others to the optimiser."""
    return False if any(value is not None and is_parameter(value) for value in node.inputs) else None


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress the log messages, warnings and prints of torch and onnxscript."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # torch sets levels on its own loggers
    try:
        # When a trace fails, torch prints the partial graph to stderr, not to a logger.
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
