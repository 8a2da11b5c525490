"""Values that a module stores on itself in its forward, which a graph cannot keep between two runs."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

import zoo
from zoo_onnx.untraceable import Traced, first_line

_Values = dict[tuple[str, str], tuple[object, int]]


def stored_values(module: nn.Module) -> _Values:
    """Return the attributes and buffers of a module's parts, each with its number of writes.

    Layers of torch and of the zoo are left out: they store nothing but weights that they compute.
    """
    values: _Values = {}
    for path, part in module.named_modules():
        if type(part).__module__.partition(".")[0] == "torch" or isinstance(part, zoo.DropIn | zoo.Layer | zoo.Cell):
            continue
        attributes: dict[str, Any] = {**vars(part), **part._buffers}
        for name, value in attributes.items():
            values[path, name] = value, value._version if isinstance(value, Tensor) else 0
    return values


def refuse_stored_values(module: nn.Module, before: _Values, code: Traced) -> None:
    """Refuse a module that stored a value since `stored_values`.

    Raises:
        ExportError: naming the attribute.
    """
    parts = dict(module.named_modules())
    for (path, name), (value, writes) in stored_values(module).items():
        old, old_writes = before.get((path, name), (None, 0))
        if value is not old or writes != old_writes:
            place = f"{path}.{name}" if path else name
            line = first_line(type(parts[path]), "forward")
            remedy = "return the value, and take it as an argument if a later call reads it"
            raise code.error(line, f"its forward stores {place!r} on the module, which a graph cannot keep", remedy)
