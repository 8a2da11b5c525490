"""Example arguments of a module, from a file of arrays."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.data.arrays_file import read_arrays
from zoo.errors import DataError

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NUMBERED = re.compile(r"(.+)_(\d+)")

Place = tuple[str, int | None]
"""Argument of an array, and its number where the argument is a tuple."""


def read_example(module: nn.Module, path: Path) -> tuple[Any, ...]:
    """Return the arguments of a module's ``forward`` from a ``.npz`` or ``.npy`` file, with the arrays' own dtypes.

    An array has the name of its argument; or arr_0, arr_1 and so on, which are the arguments in order; or, for a tuple
    such as the states of an LSTM, the argument's name with a number: state_0 and state_1. An argument without an array
    has its default.

    Args:
        module: a module.
        path: the file; see `zoo.data.arrays_file.read_arrays`.

    Raises:
        DataError: the file cannot be read, or its arrays are not the arguments of ``forward``.
    """
    arrays = read_arrays(path)
    parameters = inspect.signature(module.forward).parameters
    positional = [name for name, parameter in parameters.items() if parameter.kind in _POSITIONAL]
    rest = next((name for name, item in parameters.items() if item.kind is item.VAR_POSITIONAL), None)
    values: dict[str, Any] = {}
    for name, array in arrays.items():
        place = _place(name, positional, rest)
        if place is None:
            expected = ", ".join([*positional, *([f"{rest}_0, {rest}_1 and so on"] if rest else [])]) or "no argument"
            raise DataError(f"{path}: has an array {name!r}; forward of {type(module).__name__} takes {expected}")
        _put(values, place, torch.from_numpy(array), f"{path}: {name}")
    arguments = {name: _joined(value, name, path) for name, value in values.items()}
    further = arguments.pop(rest, ()) if rest else ()
    count = len(positional) if further else max(map(positional.index, arguments), default=-1) + 1
    needed = [name for name in positional if parameters[name].default is inspect.Parameter.empty]
    if missing := [name for name in needed if name not in arguments]:
        raise DataError(
            f"{path}: has no array {missing[0]!r}, which forward of {type(module).__name__} needs; it has "
            f"{', '.join(arrays)}"
        )
    given = (arguments[name] if name in arguments else parameters[name].default for name in positional[:count])
    return (*given, *further)


def _place(name: str, positional: list[str], rest: str | None) -> Place | None:
    """Return the argument that the name of an array means; None if there is none."""
    if name in positional:
        return name, None
    match = _NUMBERED.fullmatch(name)
    if match is None:
        return None
    owner, number = match[1], int(match[2])
    if owner == rest or owner in positional:
        return owner, number
    if owner != "arr":
        return None
    if number < len(positional):
        return positional[number], None
    return None if rest is None else (rest, number - len(positional))


def _put(values: dict[str, Any], place: Place, tensor: Tensor, where: str) -> None:
    """Add a tensor to the values of the arguments; a tuple is a dictionary by number until it is complete."""
    name, number = place
    taken = name in values and (number is None or isinstance(values[name], Tensor) or number in values[name])
    if taken:
        raise DataError(f"{where}: the argument {name!r} has another array already; leave one of them out")
    if number is None:
        values[name] = tensor
    else:
        values.setdefault(name, {})[number] = tensor


def _joined(value: Tensor | Mapping[int, Tensor], name: str, path: Path) -> Any:
    """Return a tensor as it is, and numbered tensors as a tuple."""
    if isinstance(value, Tensor):
        return value
    if missing := set(range(len(value))) - value.keys():
        raise DataError(f"{path}: has no array '{name}_{min(missing)}', and has '{name}_{max(value)}'")
    return tuple(value[number] for number in range(len(value)))
