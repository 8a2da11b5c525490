"""What to say of a cell that cannot be traced: which, where, what was found and the usual remedy, in one line."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.utils._python_dispatch import TorchDispatchMode

import zoo

NOT_OF_A_CELL = (Path(str(ir.__file__)).parent, Path(__file__).parent)
"""Folders whose code is nobody's cell, beside those that the core knows."""
UNKNOWN = "write it with operations of torch that torch.export can trace"
MEANINGS = (
    ("data-dependent", "Python decides by a value that only a run knows", "decide with torch.where"),
    ("numpy", "a tensor leaves torch for NumPy", "compute with torch"),
)
"""A mark of a message of torch, what it means, and what usually helps."""

Line = tuple[str, int]
"""A file and a line of it."""


def untraceable(error: Exception, cell: zoo.Cell, example: Sequence[Tensor]) -> zoo.ExportError:
    """The error for a failed trace.

    Args:
        error: what torch, or the cell's own code, raised.
        cell: one of the traced ones; they are all of a kind.
        example: a sequence, one step of what `project` makes of it, and a state.
    """
    text = _text(error)
    if missing := missing_operation(error):
        line = _first_operation(cell, example, lambda func: missing in str(func))
        return _told(cell, line, f"ONNX has no equal of {missing}", "write it with other operations")
    for mark, found, remedy in MEANINGS:
        if mark in text:
            return _told(cell, zoo.raised_at(error, NOT_OF_A_CELL), found, remedy)
    return _told(cell, zoo.raised_at(error, NOT_OF_A_CELL), f"{type(error).__name__}: {text[:200]}", UNKNOWN)


def missing_operation(error: BaseException) -> str | None:
    """The operation of torch that ONNX has no equal of, where that is what an error of torch.onnx says."""
    found = re.search(r"No ONNX function found for <OpOverload\(op='\w+\.(\w+)", _text(error))
    return None if found is None else found[1]


def refuse_frozen_sizes(program: ExportedProgram, cell: zoo.Cell, example: Sequence[Tensor]) -> None:
    """Refuse a trace that holds for some sizes of a batch, or numbers of steps, only.

    Raises:
        ExportError: naming the line that decides by the size, where torch knows it.
    """
    inputs = [node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs]
    sizes = [size for node in inputs for size in node.meta["val"].shape[: 2 if node.meta["val"].dim() == 3 else 1]]
    if all(_is_free(size, program) for size in sizes):
        return
    guards = inputs[0].meta["val"].fake_mode.shape_env.guards
    frames = [frame for guard in guards if (frame := getattr(guard.sloc, "framework_loc", None)) is not None]
    lines = [(frame.filename, frame.lineno) for frame in frames if hasattr(frame, "filename")]
    line = next((line for line in lines if zoo.is_of_a_cell(line[0], NOT_OF_A_CELL)), None)
    line = line or _first_operation(cell, example, lambda func: "unbind" in str(func))
    raise _told(cell, line, "it holds for some sizes of a batch only", "compute on whole tensors, whatever their size")


def refuse_what_cannot_be_written(nodes: Sequence[ir.Node], cell: zoo.Cell, example: Sequence[Tensor]) -> None:
    """Refuse nodes that a traced cell must not have.

    Raises:
        ExportError: where there is one.
    """
    for node in nodes:
        if node.op_type.startswith("Random") or node.op_type in ("Bernoulli", "Multinomial", "Dropout"):
            line = _first_operation(cell, example, lambda func: torch.Tag.nondeterministic_seeded in func.tags)
            raise _told(cell, line, "it draws random numbers", "draw them in training only ('if self.training')")
        if node.domain not in ("", "ai.onnx"):
            found = f"{node.domain}::{node.op_type} is not one of ONNX's own operators"
            raise _told(cell, None, found, "write it with other operations")
        if any(one.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for one in node.attributes.values()):
            remedy = "use torch.where, or a loop of a fixed number of rounds"
            raise _told(cell, None, f"it has a {node.op_type} inside", remedy)


def _is_free(size: Any, program: ExportedProgram) -> bool:
    """Whether a size of a traced input may be any from 2 on; torch takes 0 and 1 for special, and neither is."""
    expression = size.node.expr if isinstance(size, torch.SymInt) else None
    if expression is None or expression.is_number:
        return False
    allowed = program.range_constraints.get(expression)
    return allowed is None or bool(allowed.lower <= 2 and allowed.upper > sys.maxsize)


def _told(cell: zoo.Cell, line: Line | None, found: str, remedy: str) -> zoo.ExportError:
    kind = type(cell)
    file, number = line or (str(inspect.getsourcefile(kind)), inspect.getsourcelines(kind.step)[1])
    return zoo.ExportError(
        f"{file}:{number}: the cell {cell.name!r} of {kind.__module__} cannot be traced: {found}; {remedy}"
    )


def _text(error: BaseException | None) -> str:
    """The messages of an error and of what caused it."""
    return "" if error is None else " ".join(f"{error} {_text(error.__cause__)}".split())


def _first_operation(cell: zoo.Cell, example: Sequence[Tensor], is_meant: Callable[[Any], bool]) -> Line | None:
    """The line of a cell's own code that calls the first operation of some kind."""
    watch = _Watch(is_meant)
    sequence, x, *state = example
    with torch.no_grad(), watch:
        cell.project(sequence)
        cell.step(x, tuple(state))
    return watch.line


class _Watch(TorchDispatchMode):
    """Sees every operation that torch runs."""

    def __init__(self, is_meant: Callable[[Any], bool]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_meant = is_meant
        self.line: Line | None = None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.line is None and self.is_meant(func):
            self.line = zoo.running_line(NOT_OF_A_CELL)
        return func(*args, **(kwargs or {}))
