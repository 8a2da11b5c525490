"""Code that freezes the size of an input, such as a Python loop over the steps: noticed during a trace, and refused."""

from __future__ import annotations

import ast
import linecache
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from zoo_onnx.module.lines import is_users, running_line
from zoo_onnx.untraceable import Line, Traced

MULTIPLES = (2, 3, 4)
"""Multiples of the example's size at which a condition is tried."""
LOOPS = frozenset({"__iter__", "chunk", "split", "tensor_split", "unbind"})
"""Functions of torch that give a Python list with a part for each step or row."""
REMEDY = (
    "use nn.LSTM, nn.GRU or nn.RNN over all steps, write the step as a zoo.Cell (plugins/README.md), or fix that axis "
    "of the argument with 'fixed'"
)

ARITHMETIC = (
    "use x.size(axis) and operations of torch, since len(), int(), float() and math make a size a constant, or fix "
    "that axis of the argument with 'fixed'"
)
BRANCH = "use torch.where, or fix that axis of the argument with 'fixed'"


class SizeWatch(TorchFunctionMode):
    """Recorder of the function of torch, and the user's line, that made each free size a constant.

    Args:
        inputs: the traced arguments.
        example: the arguments of the example.
    """

    def __init__(self, inputs: Sequence[Tensor], example: Sequence[Tensor]) -> None:
        super().__init__()
        self.sizes = [value.shape for value in example]
        self.symbols = [[_symbol(size) for size in value.shape] for value in inputs]
        """The symbol of each axis of each input; None for a constant."""
        sizes: list[Any] = [size for value in inputs for size in value.shape if isinstance(size, torch.SymInt)]
        self.environment = sizes[0].node.shape_env if sizes else None
        self.causes: dict[Any, tuple[str, Line | None]] = {}
        """Name of the function and line, by symbol; a function without a name is Python itself."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.notice("")
        result = func(*args, **(kwargs or {}))
        self.notice(getattr(func, "__name__", ""))
        return result

    def example_sizes(self) -> dict[Any, int]:
        """Return the size of each symbol in the example."""
        return {
            symbol: int(size)
            for symbols, sizes in zip(self.symbols, self.sizes, strict=True)
            for symbol, size in zip(symbols, sizes, strict=True)
            if symbol is not None
        }

    def notice(self, name: str) -> None:
        """Record the sizes that became constants since the last call."""
        if self.environment is not None and len(self.environment.replacements) > len(self.causes):
            for symbol in self.environment.replacements.keys() - self.causes.keys():
                self.causes[symbol] = name, running_line()


@dataclass(frozen=True)
class Constants:
    """Sizes of the arguments that are constants of a traced graph."""

    fixed: frozenset[int]
    """Sizes of the axes that the user fixed."""
    frozen: Mapping[int, int]
    """Sizes of other axes, each with the number of such axes in the argument that has most of them."""

    @classmethod
    def of(cls, shapes: Sequence[Sequence[int | torch.SymInt]], chosen: Sequence[Collection[int]]) -> Self:
        """Return those of the inputs of a trace.

        Args:
            shapes: the sizes of each input, after the trace.
            chosen: the axes of each input that the user fixed.
        """
        fixed, frozen = set(), Counter[int]()
        for shape, axes in zip(shapes, chosen, strict=True):
            numbers = {axis: int(size) for axis, size in enumerate(shape) if is_number(size)}
            fixed |= {size for axis, size in numbers.items() if axis in axes}
            frozen |= Counter(size for axis, size in numbers.items() if axis not in axes)
        return cls(frozenset(fixed), frozen)

    def explain(self, size: int, features: int) -> bool:
        """Return whether an axis that the user fixed can be the reason why a layer always reads this size.

        It can be if it has this size, or if no axis that was to be free has it: then the size is computed, such as the
        steps after a strided convolution.

        Args:
            size: steps or sequences that the layer reads.
            features: the layer's features, which weights fix, and which one axis of each argument may be.
        """
        return bool(self.fixed) and (size in self.fixed or self.frozen.get(size, 0) <= (size == features))


def refuse_frozen_sizes(
    watch: SizeWatch, arguments: Sequence[tuple[str, Sequence[int | torch.SymInt]]], traced: Traced
) -> None:
    """Refuse a trace in which the user's Python code fixes or limits a size that was to be free.

    Args:
        watch: what the trace noticed.
        arguments: name of each input, and its sizes after the trace.
        traced: the module.

    Raises:
        ExportError: naming the line.
    """
    for (name, sizes), symbols in zip(arguments, watch.symbols, strict=True):
        for axis, (size, symbol) in enumerate(zip(sizes, symbols, strict=True)):
            function, line = watch.causes.get(symbol, ("", None))
            if symbol is not None and is_number(size) and function in LOOPS:
                raise traced.error(line, f"{function} fixes axis {axis} of {name} at {size}", REMEDY)
    for line, condition in _branches(watch):
        where = _places(watch, condition, arguments)
        reason = f"Python code depends on a size ({where}), so the graph would hold for some sizes only"
        raise traced.error(line, reason, _remedy(*line))


def axes_of_one_size(watch: SizeWatch) -> list[tuple[int, int]]:
    """Return the inputs and axes that a module takes in few sizes only, though torch does not make them constants.

    An example is the height of an image whose half must be 8. A condition that holds for multiples of the example's
    size is no such limit: ``reshape`` notes many.
    """
    single = {
        symbol
        for guard in _equalities(watch)
        if len(guard.free_symbols) == 1 or any(side.is_number for side in guard.args)
        for symbol in guard.free_symbols
        if _limits(guard, symbol, watch.example_sizes())
    }
    return [
        (index, axis)
        for index, symbols in enumerate(watch.symbols)
        for axis, symbol in enumerate(symbols)
        if symbol in single
    ]


def _limits(guard: Any, symbol: Any, sizes: Mapping[Any, int]) -> bool:
    """Return whether an equation holds for no multiple of a size of the example, all other sizes being as there."""
    if not guard.free_symbols <= sizes.keys():
        return False
    return not any(guard.subs({**sizes, symbol: sizes[symbol] * times}) for times in MULTIPLES)


def conditions(watch: SizeWatch) -> list[Any]:
    """Return the equations that must hold for the free sizes."""
    return [guard for guard in _equalities(watch) if guard.free_symbols]


def _equalities(watch: SizeWatch) -> list[Any]:
    """Return the equations that torch noted about the sizes, without sizes that became others."""
    environment = watch.environment
    if environment is None:
        return []
    guards = [guard.expr.xreplace(environment.replacements) for guard in environment.guards]
    return list(dict.fromkeys(guard for guard in guards if guard.is_Relational and guard.rel_op == "=="))


def frozen_at(watch: SizeWatch, size: int) -> Line | None:
    """Return the line at which an input's size became this constant, if any did."""
    assert watch.environment is not None
    for symbol, (_, line) in watch.causes.items():
        if line is not None and watch.environment.replacements.get(symbol) == size:
            return line
    return None


def _branches(watch: SizeWatch) -> Iterator[tuple[Line, Any]]:
    """Yield the lines of the user's code that branch on the size of an input, and the conditions that were met."""
    symbols = {symbol for axes in watch.symbols for symbol in axes if symbol is not None}
    for guard in [] if watch.environment is None else watch.environment.guards:
        frame = getattr(guard.sloc, "framework_loc", None)
        file = getattr(frame, "filename", None)
        if frame is None or file is None or not is_users(file):
            continue
        if not guard.expr.free_symbols & symbols or _relates_two(guard.expr) or _only_checks(file, frame.lineno):
            continue
        yield (file, frame.lineno), guard.expr


def _relates_two(condition: Any) -> bool:
    """Return whether a condition is that two free sizes are equal."""
    return condition.is_Relational and condition.rel_op == "==" and len(condition.free_symbols) > 1


def _only_checks(file: str, line: int) -> bool:
    """Return whether a line of code belongs to an assertion, or to a condition under which an error is raised."""
    statement = _statement(file, line)
    if isinstance(statement, ast.If):
        return any(isinstance(inner, ast.Raise) for inner in statement.body)
    return isinstance(statement, ast.Assert)


def _remedy(file: str, line: int) -> str:
    """Return what to do about a line that depends on a size."""
    statement = _statement(file, line)
    if isinstance(statement, ast.If):
        return BRANCH
    loops = (ast.For, ast.While, ast.ListComp, ast.GeneratorExp)
    return REMEDY if statement is None or any(isinstance(node, loops) for node in ast.walk(statement)) else ARITHMETIC


def _statement(file: str, line: int) -> ast.stmt | None:
    """Return the innermost statement of a file that a line belongs to."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return None
    inside = [
        node for node in ast.walk(tree) if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    return max(inside, key=lambda node: node.lineno, default=None)


def _places(watch: SizeWatch, condition: Any, arguments: Sequence[tuple[str, Any]]) -> str:
    """Return the axes that a condition is about."""
    return " and ".join(
        f"axis {axis} of {name}"
        for (name, _), symbols in zip(arguments, watch.symbols, strict=True)
        for axis, symbol in enumerate(symbols)
        if symbol in condition.free_symbols
    )


def _symbol(size: Any) -> Any:
    """Return the symbol of a free size, and None for a number."""
    return size.node.expr if isinstance(size, torch.SymInt) and not is_number(size) else None


def is_number(size: Any) -> bool:
    """Return whether a size is a constant, by what the trace has learned until now."""
    return not isinstance(size, torch.SymInt) or bool(size.node.expr.is_number)
