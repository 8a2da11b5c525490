"""Export of a module: the last step, which names inputs, outputs and sizes and writes the file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch
from onnx_ir.passes.common import RemoveUnusedNodesPass
from torch import nn

import zoo
from zoo_onnx.file import save
from zoo_onnx.module.lower import lower_calls
from zoo_onnx.module.names import signature_of
from zoo_onnx.module.trace import trace
from zoo_onnx.opset import checked, ir_version
from zoo_onnx.stack import OLDEST

_WRAPPER = "module."
"""Prefix of the names of parameters in the traced graph."""


def write_module(
    module: nn.Module,
    args: tuple[Any, ...],
    path: Path,
    metadata: Mapping[str, str],
    options: zoo.ExportOptions,
    fixed: Mapping[str, Collection[int]],
) -> zoo.ModuleSignature:
    """Write any module to a file; see `zoo.Exporter.export_module`."""
    opset = checked(options.opset)
    if opset < OLDEST:
        raise zoo.UsageError(f"opset {opset}: a module needs {OLDEST} or newer; leave opset out")
    _refuse_options(options)
    _refuse_training(module)
    traced = trace(module, args, opset, fixed)
    graph = traced.model.graph
    signature = signature_of(traced)
    _clean(traced.model)
    lower_calls(graph, len(traced.arguments), [made.call for made in traced.made], opset, options)
    exported = ir.Model(graph, ir_version=ir_version(opset))
    graph.opset_imports.clear()
    graph.opset_imports[""] = opset
    RemoveUnusedNodesPass()(exported)
    _name(graph, signature)
    graph.name = type(module).__name__
    exported.doc_string = _documentation(signature)
    save(exported, path, {**metadata, "opset": str(opset)})
    return signature


def _refuse_options(options: zoo.ExportOptions) -> None:
    """Raise a `UsageError` for options that concern models from a spec only."""
    defaults = zoo.ExportOptions()
    for name in ("steps", "states", "streaming", "precision"):
        if getattr(options, name) != getattr(defaults, name):
            raise zoo.UsageError(
                f"{name}: is for models from a spec; a module has the inputs and outputs of its forward"
            )


def _refuse_training(module: nn.Module) -> None:
    """Raise an `ExportError` if a part of the module is in training mode."""
    for name, part in module.named_modules():
        if part.training:
            place = f"{type(module).__name__}.{name}" if name else type(module).__name__
            raise zoo.ExportError(f"{place} is in training mode; call eval() on the module before the export")


def _clean(model: ir.Model) -> None:
    """Remove what torch.onnx writes beside the graph: traces of the stack with paths, and unused weights."""
    graph = model.graph
    graph.metadata_props.clear()
    for node in graph:
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*graph.inputs, *graph.initializers.values()):
        value.metadata_props.clear()
    for name, value in list(graph.initializers.items()):
        if value.uses() or value.is_graph_output():
            value.name = name.removeprefix(_WRAPPER)
        else:
            del graph.initializers[name]


def _name(graph: ir.Graph, signature: zoo.ModuleSignature) -> None:
    """Give inputs and outputs their names, types and shapes, and leave those of other values to shape inference."""
    for node in graph:
        for value in node.outputs:
            value.type, value.shape = None, None
    for value, described in zip(graph.inputs, signature.inputs, strict=True):
        _describe(value, described)
    for index, described in enumerate(signature.outputs):
        value = graph.outputs[index]
        if value.producer() is None or value in list(graph.outputs)[:index]:
            copy = ir.Value(name=described.name)
            graph.append(ir.node("Identity", [value], outputs=[copy], name=described.name))
            graph.outputs[index] = value = copy
        _describe(value, described)


def _describe(value: ir.Value, described: zoo.TensorSignature) -> None:
    value.name = described.name
    value.type = ir.TensorType(
        ir.DataType.from_numpy(torch.empty(0, dtype=getattr(torch, described.dtype)).numpy().dtype)
    )
    value.shape = ir.Shape(described.shape)


def _documentation(signature: zoo.ModuleSignature) -> str:
    """Return the documentation of a graph's inputs, which the file stores."""
    sentences = [f"Input {item.name}: ({', '.join(map(str, item.shape))}) {item.dtype}." for item in signature.inputs]
    free = ", ".join(signature.ranges) or "no size"
    return " ".join([*sentences, f"Free: {free}."])
