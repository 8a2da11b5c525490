"""Suspect nodes: those between correct values and a wrong one, as a list and as a file of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto, helper

import zoo


def reads(node: NodeProto) -> Iterator[str]:
    """Yield every value that a node reads, including those that its body reads from the outer graph."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield from _outer(attribute.g)


def _outer(body: GraphProto) -> Iterator[str]:
    """Yield the values of the outer graph that a body reads."""
    own = {value.name for value in body.input} | {value.name for value in body.initializer}
    own |= {name for node in body.node for name in node.output}
    yield from (name for node in body.node for name in reads(node) if name not in own)


def between(graph: GraphProto, bad: str, good: Collection[str]) -> list[NodeProto]:
    """Return the nodes that a value depends on, in execution order, up to correct values."""
    makers = {name: node for node in graph.node for name in node.output if name}
    needed, waiting = set[str](), [bad]
    while waiting:
        name = waiting.pop()
        if name in needed or name not in makers or name in good:
            continue
        needed.add(name)
        waiting.extend(reads(makers[name]))
    return [node for node in graph.node if needed.intersection(node.output)]


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
