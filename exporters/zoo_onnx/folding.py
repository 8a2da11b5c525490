"""Constant folding of operations that ONNX lacks, where they depend on weights alone: computed once, by torch.

Examples are a matrix exponential, an inverse, a solver, a QR decomposition, and the parametrizations of torch.nn.utils.
They are computed in float64 and rounded once, so they are as exact as weights. Weights themselves, and operations that
ONNX has, are not folded.
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


def fold(program: ExportedProgram, missing: str) -> list[str]:
    """Replace every tensor that an operation computes from weights alone by a constant.

    Args:
        program: the traced program, which is changed.
        missing: torch's name of the operation, such as ``linalg_inv_ex``.

    Returns:
        The names of the constants; empty where there was no such tensor.
    """
    values, dependent = _from_weights(program, missing)
    foldable = [
        node
        for node in dependent
        if isinstance(values[node], Tensor) and any(user not in values for user in node.users)
    ]
    names = [_replace(program, node, values[node]) for node in foldable]
    program.graph.eliminate_dead_code()
    program.graph_module.recompile()
    return names


def _from_weights(program: ExportedProgram, missing: str) -> tuple[dict[Node, Any], set[Node]]:
    """Return the float64 values of nodes that depend on weights alone, and those nodes that need the operation."""
    tensors = {**program.state_dict, **program.constants}
    values: dict[Node, Any] = {}
    need: set[Node] = set()
    for spec, node in zip(program.graph_signature.input_specs, _placeholders(program), strict=True):
        if spec.kind != InputKind.USER_INPUT and isinstance(value := tensors.get(str(spec.target)), Tensor):
            values[node] = value.detach().clone().to(_wide(value.dtype))
    for node in program.graph.nodes:
        if not _is_constant(node, values):
            continue
        arguments, options = torch.fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
        with torch.no_grad(), _Recorder() as recorder:
            values[node] = node.target(*map(_wide, arguments), **{key: _wide(value) for key, value in options.items()})
        if missing in recorder.names or not need.isdisjoint(node.all_input_nodes):
            need.add(node)
    return values, need


def _is_constant(node: Node, constants: Collection[Node]) -> bool:
    """Return whether a node computes, without random numbers, from constants alone."""
    target = node.target
    if node.op != "call_function" or not all(source in constants for source in node.all_input_nodes):
        return False
    if isinstance(target, torch._ops.OpOverload):
        return bool(target._schema.returns) and torch.Tag.nondeterministic_seeded not in target.tags
    return target is operator.getitem


def _replace(program: ExportedProgram, node: Node, value: Tensor) -> str:
    """Replace a node by a constant, named after the node and the cell whose weights it is computed from."""
    specs = program.graph_signature.input_specs
    targets = {source.name: str(spec.target) for spec, source in zip(specs, _placeholders(program), strict=True)}
    cells = [match[0] for name in _sources(node) if (match := _CELL.match(targets.get(name, "")))]
    name = f"{cells[0] if cells else PARAMETERS}{node.name}"
    while name in program.state_dict or name in program.constants:
        name += "_"
    index = next(index for index, spec in enumerate(specs) if spec.kind == InputKind.USER_INPUT)
    with program.graph.inserting_before(_placeholders(program)[index]):
        constant = program.graph.placeholder(f"c_{name.replace('.', '_')}")
    constant.meta["val"] = node.meta["val"]
    specs.insert(index, InputSpec(InputKind.CONSTANT_TENSOR, TensorArgument(constant.name), name))
    program.constants[name] = value.to(node.meta["val"].dtype).contiguous()
    node.replace_all_uses_with(constant)
    return name


def _sources(node: Node) -> Iterator[str]:
    """Yield the names of the placeholders that a node depends on."""
    waiting, visited = [node], {node}
    while waiting:
        source = waiting.pop()
        if source.op == "placeholder":
            yield source.name
        waiting += (new := [earlier for earlier in source.all_input_nodes if earlier not in visited])
        visited.update(new)


def _placeholders(program: ExportedProgram) -> list[Node]:
    return [node for node in program.graph.nodes if node.op == "placeholder"]


def _wide(argument: Any) -> Any:
    """Return torch.float64 for torch.float32, and any other argument unchanged."""
    return torch.float64 if argument is torch.float32 else argument


class _Recorder(TorchDispatchMode):
    """Recorder of the names of operations that torch runs, which may differ from those that are called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.names.add(func._schema.name.partition("::")[2])
        return func(*args, **(kwargs or {}))
