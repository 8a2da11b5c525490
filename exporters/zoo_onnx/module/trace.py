"""Trace of a module whose recurrent layers are recorded: torch.export, then torch.onnx."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import onnx_ir as ir
import onnxscript.optimizer
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn.utils.rnn import PackedSequence
from torch.utils import _pytree as pytree

import zoo
from zoo_onnx.module.effects import refuse_stored_values, stored_values
from zoo_onnx.module.packed import PackedModule, padded_in_place_of_packed
from zoo_onnx.module.recording import DOMAIN, Made, Recording, record_layers
from zoo_onnx.module.sizes import (
    REMEDY,
    Constants,
    SizeWatch,
    axes_of_one_size,
    conditions,
    frozen_at,
    is_number,
    refuse_frozen_sizes,
)
from zoo_onnx.tracing import quiet, to_onnx
from zoo_onnx.untraceable import LIBRARIES, Traced, first_line, refuse_unsupported_nodes, untraceable


@dataclass(frozen=True)
class Argument:
    """A tensor among the arguments."""

    name: str
    """Name of the argument of ``forward``; with numbers or keys where it is a part of it."""
    value: Tensor
    fixed: frozenset[int]
    """Axes that keep their size."""


@dataclass(frozen=True)
class Trace:
    """A traced module."""

    model: ir.Model
    """Its graph, with private nodes; inputs are the arguments, then a value for each trimmed sequence."""
    program: ExportedProgram
    arguments: list[Argument]
    results: Sequence[str]
    """Name of each tensor of the result."""
    made: Sequence[Made]
    """The recorded calls."""
    conditions: Sequence[Any]
    """What must hold for the free sizes, as expressions of their symbols."""


class _Notes:
    """What the wrapper learned; not in its attributes, which torch.export resets."""

    watch: SizeWatch
    results: Sequence[str]


class _Wrapper(nn.Module):
    """Module that takes all tensors as lists and gives the tensors of the result as a list."""

    def __init__(
        self, module: nn.Module, recording: Recording, structure: Any, values: list[Any], code: Traced
    ) -> None:
        super().__init__()
        self.module = module
        self.recording, self.structure, self.values = recording, structure, values
        self.notes, self.code = _Notes(), code

    def forward(self, tensors: list[Tensor], longest: list[Tensor]) -> list[Tensor]:
        self.recording.restart(longest)
        given = iter(tensors)
        values = [next(given) if isinstance(value, Tensor) else value for value in self.values]
        args = pytree.tree_unflatten(values, self.structure)
        self.notes.watch = watch = SizeWatch(tensors, [value for value in self.values if isinstance(value, Tensor)])
        with watch:
            result = self.module(*args)
        watch.notice("")
        named = list(_named_results(result, self.code))
        self.notes.results = [name for name, _ in named]
        return [value for _, value in named]


def trace(module: nn.Module, args: tuple[Any, ...], opset: int, fixed: Mapping[str, Collection[int]]) -> Trace:
    """Trace a module.

    Args:
        module: in inference mode.
        args: example arguments.
        opset: version of ONNX's operators to write.
        fixed: axes that keep their size, by argument.

    Raises:
        ExportError: naming the line and the obstacle.
        UsageError: if the arguments do not fit.
    """
    recording = Recording()
    with torch.no_grad():
        copy = record_layers(module, recording, PackedModule)
    arguments, values, structure = _arguments(module, args, fixed)
    chosen = [argument.fixed for argument in arguments]
    code = Traced(
        f"the module {type(module).__name__}",
        first_line(type(module), "forward"),
        lambda: _run(copy, structure, values),
    )
    wrapper = _Wrapper(copy, recording, structure, values, code)
    with padded_in_place_of_packed(copy, recording), quiet(), torch.no_grad():
        try:
            before = stored_values(copy)
            _run_example(code, recording)
            refuse_stored_values(copy, before, code)
            if 1 in recording.sizes:
                raise zoo.UsageError(
                    "the largest length of the example is 1; give one of two or more, since torch fixes a 1"
                )
            longest = [torch.zeros(size) for size in recording.sizes]
            program = _export(wrapper, arguments, longest)
            if single := axes_of_one_size(wrapper.notes.watch):
                for index, axis in single:
                    arguments[index] = replace(arguments[index], fixed=arguments[index].fixed | {axis})
                program = _export(wrapper, arguments, longest)
            _refuse_sizes(program, wrapper, arguments, chosen, code)
            onnx_program, _ = to_onnx(program, opset)
        except zoo.ZooError:
            raise
        except Exception as error:  # raised by torch, or by the module's own code
            raise untraceable(error, code) from error
        model = onnx_program.model
        onnxscript.optimizer.optimize_ir(model, should_fold=_may_fold)
        refuse_unsupported_nodes([node for node in model.graph if node.domain != DOMAIN], code)
    return Trace(
        model, program, arguments, wrapper.notes.results, list(recording.made), conditions(wrapper.notes.watch)
    )


def _run_example(code: Traced, recording: Recording) -> None:
    """Run the module once, without a trace.

    Raises:
        ExportError: if it fails.
    """
    recording.restart(None)
    try:
        code.run()
    except zoo.ZooError:
        raise
    except Exception as error:  # raised by torch, or by the module's own code
        file, line = zoo.raised_at(error, LIBRARIES) or code.line
        text = " ".join(str(error).split())[:200]
        raise zoo.ExportError(
            f"{file}:{line}: {code.description} fails with the example arguments: {type(error).__name__}: {text}; give "
            "arguments that its forward takes"
        ) from error


def _export(wrapper: _Wrapper, arguments: Sequence[Argument], longest: list[Tensor]) -> ExportedProgram:
    """Trace the wrapper with all axes free that can be."""
    free = [
        {axis: Dim.STATIC if axis in item.fixed else Dim.AUTO for axis in range(item.value.dim())} for item in arguments
    ]
    tensors = [argument.value for argument in arguments]
    shapes = (free, [{0: Dim.AUTO} for _ in longest])
    return torch.export.export(wrapper, (tensors, longest), dynamic_shapes=shapes, strict=False)


def _run(module: nn.Module, structure: Any, values: list[Any]) -> Any:
    return module(*pytree.tree_unflatten(values, structure))


def _arguments(
    module: nn.Module, args: tuple[Any, ...], fixed: Mapping[str, Collection[int]]
) -> tuple[list[Argument], list[Any], Any]:
    """Return the tensors of the arguments, all their leaves, and their structure."""
    try:
        bound = inspect.signature(module.forward).bind(*args)
    except TypeError as error:
        raise zoo.UsageError(f"{type(module).__name__}.forward: {error}; give one example for each argument") from error
    parameters = list(bound.signature.parameters.values())
    names = []
    for number in range(len(args)):
        parameter = parameters[min(number, len(parameters) - 1)]
        variadic = parameter.kind is inspect.Parameter.VAR_POSITIONAL
        names.append(f"{parameter.name}_{number - len(parameters) + 1}" if variadic else parameter.name)
    if unknown := sorted(fixed.keys() - set(names)):
        raise zoo.UsageError(f"fixed: {unknown[0]!r} is no argument of forward; expected {', '.join(names)}")
    leaves, structure = pytree.tree_flatten_with_path(args, is_leaf=_is_packed)
    arguments, values = [], []
    for path, value in leaves:
        if isinstance(value, PackedSequence):
            raise zoo.UsageError(
                "the example has a PackedSequence; give the padded sequences and their lengths instead"
            )
        values.append(value.detach().cpu() if isinstance(value, Tensor) else value)
        if isinstance(value, Tensor):
            name = names[int(_key(path[0]))]
            full = "_".join([name, *map(_key, path[1:])])
            arguments.append(Argument(full, values[-1], frozenset(fixed.get(name, ()))))
    return arguments, values, structure


def _named_results(result: Any, code: Traced) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a result and a name for each: ``output``, or with numbers or keys of where it is."""
    for path, value in pytree.tree_flatten_with_path(result, is_leaf=_is_packed)[0]:
        if isinstance(value, PackedSequence):
            raise code.error(None, "it returns a PackedSequence", "return pad_packed_sequence of it")
        if not isinstance(value, Tensor):
            continue
        keys = list(map(_key, path))
        yield "_".join(keys if keys and keys[0].isidentifier() else ["output", *keys]), value


def _is_packed(value: Any) -> bool:
    return isinstance(value, PackedSequence)


def _key(key: Any) -> str:
    """Return the number or name of a part of an argument or a result."""
    return str(next(getattr(key, name) for name in ("idx", "key", "name") if hasattr(key, name)))


def _refuse_sizes(
    program: ExportedProgram,
    wrapper: _Wrapper,
    arguments: Sequence[Argument],
    chosen: Sequence[Collection[int]],
    code: Traced,
) -> None:
    """Raise an `ExportError` if a size that must be free is not.

    Args:
        program: the trace.
        wrapper: what was traced.
        arguments: the inputs.
        chosen: the axes of each input that the user fixed.
        code: the module.
    """
    inputs = [node.meta["val"] for node in program.graph.nodes if node.name in program.graph_signature.user_inputs]
    shapes = [value.shape for value in inputs[: len(arguments)]]
    watch = wrapper.notes.watch
    refuse_frozen_sizes(watch, [(item.name, shape) for item, shape in zip(arguments, shapes, strict=True)], code)
    constants = Constants.of(shapes, chosen)
    for made in wrapper.recording.made:
        for size, what in zip(made.sizes, ("steps", "sequences"), strict=False):
            if not is_number(size) or constants.explain(int(size), made.call.layer.directed_cells[0].input_size):
                continue
            remedy = f"give an example with two or more {what}, since torch fixes a size of 1" if size == 1 else REMEDY
            reason = f"the layer {made.call.path} would always read {size} {what}"
            raise code.error(frozen_at(watch, int(size)), reason, remedy)


def _may_fold(node: ir.Node) -> bool | None:
    """Forbid folding of parameters, which the file keeps; None leaves other values to the optimiser."""
    return False if any(value is not None and value.is_initializer() for value in node.inputs) else None
