"""Suspect nodes: those between correct values and a wrong one, as a file of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import ModelProto, ValueInfoProto, helper

import zoo
from zoo_onnx.structure.graphs import between, reads


def cut(
    model: ModelProto, bad: zoo.Probe, good: Collection[zoo.Probe], values: Mapping[str, NDArray[Any]], to: Path
) -> Sequence[str]:
    """Write the suspect nodes to a file and return its inputs; see `zoo.Dissection.cut`."""
    nodes = between(model.graph, bad.output, {probe.output for probe in good})
    made = {name for node in nodes for name in node.output}
    needed = list(dict.fromkeys(name for node in nodes for name in reads(node) if name not in made))
    weights = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    inputs = [name for name in needed if name in values]
    piece = helper.make_graph(
        nodes, "minimal", [_input(name, values[name]) for name in inputs], [ValueInfoProto(name=bad.output)], weights
    )
    onnx.save(helper.make_model(piece, opset_imports=model.opset_import, ir_version=model.ir_version), to)
    return inputs


def _input(name: str, value: NDArray[Any]) -> ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_value_info(name, kind, [None] * value.ndim)
