"""ONNX files: write the graph of a model, add metadata, read and check a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

import zoo
from zoo_onnx.auto import for_precision
from zoo_onnx.builder import TRACED, GraphBuilder
from zoo_onnx.graph import model_graph
from zoo_onnx.opset import checked, ir_version
from zoo_onnx.precision.saturation import saturating
from zoo_onnx.precision.weights import weights_of_products
from zoo_onnx.states import KEY as STATES_KEY


def write(model: zoo.Model, path: Path, metadata: Mapping[str, str], options: zoo.ExportOptions) -> None:
    """Build the graph of a model, write it to a file and run ONNX's checker on the file."""
    build = GraphBuilder(checked(options.opset))
    options = for_precision(model, options)
    graph, states = model_graph(model, build, options)
    exported = ir.Model(graph, ir_version=ir_version(build.opset))
    RemoveUnusedNodesPass()(exported)  # a lowering leaves nodes behind that it has replaced
    if options.precision != "float32":
        _reduce_precision(exported, options.precision)
        remaining = [str(value.name) for value in weights_of_products(exported.graph)]
        exported.metadata_props["float32_weights"] = ", ".join(remaining) or "none"
    exported.doc_string = _documentation(model, options, held=states.held)
    if states.held:
        exported.metadata_props[STATES_KEY] = states.contract
    if build.traced:
        exported.metadata_props[TRACED] = json.dumps(build.traced)
    if options.streaming:
        exported.metadata_props["takes"] = "chunks"
    save(exported, path, {**metadata, "opset": str(build.opset)})


def save(model: ir.Model, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a model to a file, seal it and run ONNX's checker on the file.

    Raises:
        ExportError: if the checker finds a fault.
    """
    model.producer_name, model.producer_version = "recurrent-zoo", zoo.__version__
    model.metadata_props.update(metadata)
    ir.save(model, path)
    annotate(path, {})
    if fault := _invalid(path):
        raise zoo.ExportError(f"the model does not make a valid graph: {fault}")


def _reduce_precision(model: ir.Model, precision: str) -> None:
    """Convert the weights of a model to a lower precision.

    Raises:
        ExportError: if that is impossible, or saves nothing.
    """
    before = _size(model)
    if precision == "int8":
        from zoo_onnx.precision.int8 import quantise

        quantise(model)
    else:
        from zoo_onnx.precision.half import keep_in_half

        keep_in_half(model.graph, precision)
    if (after := _size(model)) >= before:
        raise zoo.ExportError(
            f"precision {precision}: the graph would grow from {before:,} to {after:,} bytes, since the model is "
            "small and the added conversions take more than the weights save; leave precision out"
        )


def _size(model: ir.Model) -> int:
    """Return the size of a model's file in bytes."""
    return int(ir.to_proto(model).ByteSize())


def annotate(path: Path, metadata: Mapping[str, str]) -> None:
    """Add metadata to a file and renew its seal."""
    path.write_bytes(zoo.seal_onnx(path.read_bytes(), metadata))


def faults(path: Path) -> list[str]:
    """Return the faults of a file, one line each."""
    if fault := zoo.onnx_fault(path.read_bytes()):  # first, since ONNX reads other files that the file refers to
        return [f"{path}: {fault}"]
    if fault := _invalid(path):
        return [f"{path}: is not a valid ONNX file: {fault}"]
    return [
        f"{path}: {name}: its int8 weights are so large that sums saturate on CPUs without VNNI; export it again"
        for name in saturating(ir.load(path).graph)
    ]


def read(path: Path) -> ir.Model:
    """Read an ONNX file.

    Raises:
        ExportError: if it is no ONNX file.
    """
    try:
        model = ir.load(path)
    except Exception as error:  # protobuf and onnx-ir raise errors of their own
        raise zoo.ExportError(f"{path}: cannot be read as ONNX: {_one_line(error)}") from error
    if not model.graph.opset_imports:  # protobuf accepts even an empty file
        raise zoo.ExportError(f"{path}: holds no ONNX model")
    return model


def read_valid(path: Path) -> onnx.ModelProto:
    """Read a valid ONNX file.

    Raises:
        ExportError: if it is none.
    """
    if fault := _invalid(path):
        raise zoo.ExportError(f"{path}: is not a valid ONNX file: {fault}")
    return onnx.load(path, load_external_data=False)


def _invalid(path: Path) -> str | None:
    """Return the error of ONNX's checker, types and shapes included, or None if the file is valid."""
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception as error:  # protobuf and onnx raise errors of their own
        return _one_line(error)
    return None


def _one_line(error: Exception) -> str:
    """Return an error's message on one line, of at most 200 characters."""
    return " ".join(str(error).split())[:200]


def _documentation(model: zoo.Model, options: zoo.ExportOptions, *, held: bool) -> str:
    """Return the documentation of a graph's inputs, which the file stores."""
    x = "(batch, time) tokens" if model.encoder.tokens else "(batch, time, features) in the user's units"
    sentences = [f"Input x: {x}."]
    if model.takes_lengths and not options.streaming:
        sentences.append("Input lengths: (batch,), the valid steps of each sequence, at least 1.")
    if held:
        sentences.append(f"Inputs state_*: (batch, n), first 'initial' of the entry {STATES_KEY!r}, then next_state_*.")
    sentences.append(f"Batch is free, time is {options.steps}." if options.steps else "Batch and time are free.")
    return " ".join(sentences)
