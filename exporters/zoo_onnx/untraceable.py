"""Errors of code that cannot be traced: one line with the cell or module, file and line, the reason and a remedy."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.utils._python_dispatch import TorchDispatchMode

import zoo

LIBRARIES = (Path(str(ir.__file__)).parent, Path(__file__).parent)
"""Folders that contain no cell, in addition to those that the core excludes."""
TRACEABLE = "write it with operations of torch that torch.export can trace"
REASONS = (
    ("data-dependent", "Python control flow depends on the value of a tensor", "use torch.where"),
    ("numpy", "a tensor is converted to NumPy", "compute with torch"),
)
"""Part of torch's message, reason and remedy, of each common error."""

Line = tuple[str, int]
"""File and line number."""


@dataclass(frozen=True)
class Traced:
    """Code that is traced."""

    description: str
    """What it is, such as ``the cell 'mgu' of mgu``."""
    line: Line
    """Its first line, for an error whose own line is unknown."""
    run: Callable[[], object]
    """Runs the code with an example."""

    @classmethod
    def of_cell(cls, cell: zoo.Cell, example: Sequence[Tensor]) -> Traced:
        """Return the description of a cell.

        Args:
            cell: one of the traced cells, which are all of one class.
            example: a sequence, one step of its projection, and the state tensors.
        """
        kind, (sequence, x, *state) = type(cell), example
        description = f"the cell {cell.name!r} of {kind.__module__}"
        return cls(description, first_line(kind, "step"), lambda: (cell.project(sequence), cell.step(x, tuple(state))))

    def error(self, line: Line | None, reason: str, remedy: str) -> zoo.ExportError:
        """Return the error in one line, at the first line of the code if its own is unknown."""
        file, number = line or self.line
        return zoo.ExportError(f"{file}:{number}: {self.description} cannot be traced: {reason}; {remedy}")

    def first_operation(self, matches: Callable[[Any], bool]) -> Line | None:
        """Return the line of the code that calls the first matching operation."""
        watch = _Watch(matches)
        with torch.no_grad(), watch:
            self.run()
        return watch.line


def first_line(kind: type, method: str) -> Line:
    """Return the first line of a method; of a class whose source is in no file, its module."""
    try:
        return str(inspect.getsourcefile(kind)), inspect.getsourcelines(getattr(kind, method))[1]
    except (OSError, TypeError):
        return kind.__module__, 0


def untraceable(error: Exception, traced: Traced) -> zoo.ExportError:
    """Return the error for a failed trace.

    Args:
        error: the exception raised by torch or by the traced code.
        traced: the code.
    """
    text = _text(error)
    if missing := missing_operation(error):
        line = traced.first_operation(lambda func: missing in str(func))
        return traced.error(line, f"ONNX has no equivalent of {missing}", "write it with other operations")
    line = zoo.raised_at(error, LIBRARIES)
    for part, reason, remedy in REASONS:
        if part in text:
            return traced.error(line, reason, remedy)
    return traced.error(line, f"{type(error).__name__}: {text[:200]}", TRACEABLE)


def missing_operation(error: BaseException) -> str | None:
    """Return the operation of torch that ONNX has no equivalent of, if an error of torch.onnx reports one."""
    match = re.search(r"No ONNX function found for <OpOverload\(op='\w+\.(\w+)", _text(error))
    return None if match is None else match[1]


def refuse_frozen_sizes(program: ExportedProgram, traced: Traced) -> None:
    """Refuse a trace that holds for some batch sizes, or numbers of steps, only.

    Raises:
        ExportError: naming the line that depends on the size, if torch records it.
    """
    inputs = [node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs]
    sizes = [size for node in inputs for size in node.meta["val"].shape[: 2 if node.meta["val"].dim() == 3 else 1]]
    if all(_is_free(size, program) for size in sizes):
        return
    guards = inputs[0].meta["val"].fake_mode.shape_env.guards
    frames = [frame for guard in guards if (frame := getattr(guard.sloc, "framework_loc", None)) is not None]
    lines = [(frame.filename, frame.lineno) for frame in frames if hasattr(frame, "filename")]
    line = next((line for line in lines if zoo.is_of_a_cell(line[0], LIBRARIES)), None)
    line = line or traced.first_operation(lambda func: "unbind" in str(func))
    raise traced.error(line, "it holds for some batch sizes only", "compute on whole tensors of any size")


def refuse_unsupported_nodes(nodes: Sequence[ir.Node], traced: Traced) -> None:
    """Refuse random numbers, operators outside ONNX's own domain, and subgraphs in traced code.

    Raises:
        ExportError: if there is such a node.
    """
    for node in nodes:
        if node.op_type.startswith("Random") or node.op_type in ("Bernoulli", "Multinomial", "Dropout"):
            line = traced.first_operation(lambda func: torch.Tag.nondeterministic_seeded in func.tags)
            raise traced.error(line, "it draws random numbers", "draw them in training only ('if self.training')")
        if node.domain not in ("", "ai.onnx"):
            reason = f"{node.domain}::{node.op_type} is not one of ONNX's own operators"
            raise traced.error(None, reason, "write it with other operations")
        if any(a.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for a in node.attributes.values()):
            remedy = "use torch.where, or a loop of a fixed number of rounds"
            raise traced.error(None, f"it contains the operator {node.op_type}", remedy)


def _is_free(size: Any, program: ExportedProgram) -> bool:
    """Return whether a size of a traced input may be any number from 2 up; torch treats 0 and 1 separately."""
    expression = size.node.expr if isinstance(size, torch.SymInt) else None
    if expression is None or expression.is_number:
        return False
    allowed = program.range_constraints.get(expression)
    return allowed is None or bool(allowed.lower <= 2 and allowed.upper > sys.maxsize)


def _text(error: BaseException | None) -> str:
    """Return the messages of an error and of its causes."""
    return "" if error is None else " ".join(f"{error} {_text(error.__cause__)}".split())


class _Watch(TorchDispatchMode):
    """Recorder of the line of the code that runs the first matching operation."""

    def __init__(self, matches: Callable[[Any], bool]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.matches = matches
        self.line: Line | None = None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.line is None and self.matches(func):
            self.line = zoo.running_line(LIBRARIES)
        return func(*args, **(kwargs or {}))
