"""Weights that follow from weights alone by operations that ONNX does not have: torch works them out, once.

Such as a matrix exponential, an inverse, a solver, a QR decomposition, or the parametrizations of torch.nn.utils. They
are worked out in float64 and rounded once, so that they are as exact as weights are. All else stays as it is: weights
that are used plain, and what ONNX can make of them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, TensorArgument
from torch.fx import Node
from torch.utils._python_dispatch import TorchDispatchMode

from zoo_onnx.piece import PARAMETERS

_CELL = re.compile(rf"{re.escape(PARAMETERS)}layers\.\d+\.cells\.\d+\.")


def work_out(program: ExportedProgram, missing: str) -> bool:
    """Put a constant in place of whatever follows from weights alone by some operation.

    Args:
        program: a traced one; it is changed.
        missing: the name of the operation among torch's own, such as ``linalg_inv_ex``.

    Returns:
        Whether there was any.
    """
    values, made_by = _from_weights(program, missing)
    wanted = [
        node for node in made_by if isinstance(values[node], Tensor) and any(user not in values for user in node.users)
    ]
    for node in wanted:
        _replace(program, node, values[node])
    program.graph.eliminate_dead_code()
    program.graph_module.recompile()
    return bool(wanted)


def _from_weights(program: ExportedProgram, missing: str) -> tuple[dict[Node, Any], set[Node]]:
    """What follows from weights alone, worked out in float64, and those nodes of it that need the operation."""
    held = {**program.state_dict, **program.constants}
    values: dict[Node, Any] = {}
    need: set[Node] = set()
    for spec, node in zip(program.graph_signature.input_specs, _placeholders(program), strict=True):
        if spec.kind != InputKind.USER_INPUT and isinstance(value := held.get(str(spec.target)), Tensor):
            values[node] = value.detach().clone().to(_wide(value.dtype))
    for node in program.graph.nodes:
        if not _is_constant(node, values):
            continue
        arguments, options = torch.fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
        with torch.no_grad(), _Seen() as seen:
            values[node] = node.target(*map(_wide, arguments), **{key: _wide(one) for key, one in options.items()})
        if missing in seen.names or not need.isdisjoint(node.all_input_nodes):
            need.add(node)
    return values, need


def _is_constant(node: Node, values: Collection[Node]) -> bool:
    target = node.target
    if node.op != "call_function" or not all(one in values for one in node.all_input_nodes):
        return False
    if isinstance(target, torch._ops.OpOverload):
        return bool(target._schema.returns) and torch.Tag.nondeterministic_seeded not in target.tags
    return target is operator.getitem


def _replace(program: ExportedProgram, node: Node, value: Tensor) -> None:
    """Put a constant in place of a node, named after it and after the cell whose weights it is made of."""
    specs = program.graph_signature.input_specs
    targets = {one.name: str(spec.target) for spec, one in zip(specs, _placeholders(program), strict=True)}
    cells = [match[0] for name in _sources(node) if (match := _CELL.match(targets.get(name, "")))]
    name = f"{cells[0] if cells else PARAMETERS}{node.name}"
    while name in program.state_dict or name in program.constants:
        name += "_"
    place = next(place for place, spec in enumerate(specs) if spec.kind == InputKind.USER_INPUT)
    with program.graph.inserting_before(_placeholders(program)[place]):
        constant = program.graph.placeholder(f"c_{name.replace('.', '_')}")
    constant.meta["val"] = node.meta["val"]
    specs.insert(place, InputSpec(InputKind.CONSTANT_TENSOR, TensorArgument(constant.name), name))
    program.constants[name] = value.to(node.meta["val"].dtype).contiguous()
    node.replace_all_uses_with(constant)


def _sources(node: Node) -> Iterator[str]:
    """The names of the placeholders that a node follows from."""
    waiting, known = [node], {node}
    while waiting:
        one = waiting.pop()
        if one.op == "placeholder":
            yield one.name
        waiting += (fresh := [before for before in one.all_input_nodes if before not in known])
        known.update(fresh)


def _placeholders(program: ExportedProgram) -> list[Node]:
    return [node for node in program.graph.nodes if node.op == "placeholder"]


def _wide(one: Any) -> Any:
    """float64 in place of the type float32; all else as it is."""
    return torch.float64 if one is torch.float32 else one


class _Seen(TorchDispatchMode):
    """The names of the operations that torch runs, which may be others than those that are called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.names.add(func._schema.name.partition("::")[2])
        return func(*args, **(kwargs or {}))
