"""Names of the inputs, outputs and free sizes of a traced module."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

import zoo
from zoo_onnx.module.sizes import is_number
from zoo_onnx.module.trace import Trace


def signature_of(traced: Trace) -> zoo.ModuleSignature:
    """Return the names, dtypes and shapes of a traced module."""
    program = traced.program
    nodes = {node.name: node for node in program.graph.nodes}
    inputs = [nodes[name].meta["val"] for name in program.graph_signature.user_inputs]
    outputs = [nodes[name].meta["val"] for name in program.graph_signature.user_outputs]
    arguments, longest = inputs[: len(traced.arguments)], inputs[len(traced.arguments) :]
    names = _unique([argument.name for argument in traced.arguments])
    results = _unique(traced.results, taken=names)
    symbols = _size_names(
        traced, dict(zip(names, arguments, strict=True)), longest, dict(zip(results, outputs, strict=True))
    )
    free = {symbol for value in arguments for size in value.shape if not is_number(size) for symbol in _symbols(size)}
    return zoo.ModuleSignature(
        tuple(_described(name, value, symbols) for name, value in zip(names, arguments, strict=True)),
        tuple(_described(name, value, symbols) for name, value in zip(results, outputs, strict=True)),
        {name: _range(program.range_constraints.get(symbol)) for symbol, name in symbols.items() if symbol in free},
        tuple(_expression(condition, symbols) for condition in traced.conditions if condition.free_symbols <= free),
    )


def _size_names(
    traced: Trace, arguments: Mapping[str, Tensor], longest: Sequence[Tensor], results: Mapping[str, Tensor]
) -> dict[Any, str]:
    """Return a name for each symbol.

    It is ``batch`` or ``time`` where a recurrent layer reads it, ``longest`` for the largest length, and else the name
    of an argument with the number of the axis.
    """
    steps = {symbol for made in traced.made for symbol in _symbols(made.sizes[0])}
    batch = {symbol for made in traced.made for size in made.sizes[1:] for symbol in _symbols(size)}
    if not traced.made and arguments:  # no recurrent layer
        batch = (
            set(_symbols(next(iter(arguments.values())).shape[0])) if next(iter(arguments.values())).dim() else set()
        )
    names: dict[Any, str] = {}
    for symbol, fallback in _axes(arguments):
        wanted = "batch" if symbol in batch else "time" if symbol in steps else fallback
        names.setdefault(symbol, _free_name(wanted, names.values()))
    for value in longest:
        for symbol in _symbols(value.shape[0]):
            names.setdefault(symbol, _free_name("longest", names.values()))
    for symbol, fallback in _axes(results):  # sizes that depend on values
        names.setdefault(symbol, _free_name(fallback, names.values()))
    return names


def _axes(values: Mapping[str, Tensor]) -> Iterator[tuple[Any, str]]:
    """Yield the symbols of all axes, and a name for each."""
    for name, value in values.items():
        for axis, size in enumerate(value.shape):
            for symbol in _symbols(size):
                yield symbol, f"{name}_{axis}"


def _free_name(name: str, taken: Any) -> str:
    return next(
        other for number in range(1, 1000) if (other := name if number == 1 else f"{name}_{number}") not in taken
    )


def _unique(names: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """Return names without repetitions."""
    result: list[str] = []
    for name in names:
        result.append(_free_name(name, [*taken, *result]))
    return result


def _symbols(size: Any) -> list[Any]:
    return [] if is_number(size) else sorted(_formula(size).free_symbols, key=str)


def _described(name: str, value: Tensor, symbols: Mapping[Any, str]) -> zoo.TensorSignature:
    shape = tuple(int(size) if is_number(size) else _expression(_formula(size), symbols) for size in value.shape)
    return zoo.TensorSignature(name, str(value.dtype).removeprefix("torch."), shape)


def _formula(size: Any) -> Any:
    return size.node.expr


def _expression(expression: Any, symbols: Mapping[Any, str]) -> str:
    names = {str(symbol): name for symbol, name in symbols.items()}
    text = re.sub(r"\w+", lambda match: names.get(match[0], match[0]), str(expression))
    return text.replace(" ", "")


def _range(constraint: Any) -> tuple[int, int | None]:
    """Return the smallest and largest value; torch leaves out 0 and 1, which it treats separately."""
    if constraint is None:
        return 1, None
    lower = int(constraint.lower)
    upper = constraint.upper
    return (1 if lower <= 2 else lower), (int(upper) if upper.is_number and upper.is_finite and upper < 2**31 else None)
