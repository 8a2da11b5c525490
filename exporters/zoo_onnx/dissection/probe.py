"""Probes: further outputs, in a copy of a file, that give the model's values between its input and its outputs.

The values are located by the names of nodes (exporters/README.md, "The file"), so a file that was altered still has
probes for all the values that are left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import GraphProto, NodeProto, ValueInfoProto, helper

import zoo
from zoo_onnx.structure.graphs import attribute_of, body_of

_RECURRENT = re.compile(r"layer_(\d+)/[^/]+(?:/(forward|reverse))?")
"""Name of the node of a layer, or of one direction of it."""
_UNROLLED = re.compile(r"layer_(\d+)/[^/]+(?:/(forward|reverse))?/outputs")
"""Name of the node that concatenates the outputs of unrolled steps."""
_AFTER_LOOP = re.compile(r"layer_(\d+)/[^/]+/(?:(?:forward|reverse)/)?(?:within_lengths|last)")
"""Name of a node between a loop and the next layer."""
NATIVE = ("RNN", "LSTM", "GRU", "DynamicQuantizeLSTM")


def write_probes(path: Path, to: Path) -> list[zoo.Probe]:
    """Write the copy and return its probes."""
    model = onnx.load(path)
    del model.metadata_props[:]  # the copy is temporary, and golden outputs would make it large
    probes = list(_probes(model.graph))
    outputs = {value.name for value in model.graph.output}
    for name in dict.fromkeys(probe.output for probe in probes if probe.output not in outputs):
        model.graph.output.append(ValueInfoProto(name=name))
    onnx.save(model, to)
    return probes


def _probes(graph: GraphProto) -> Iterator[zoo.Probe]:
    """Yield the probes of a graph; bodies of loops get the outputs that they lack."""
    outputs = {value.name for value in graph.output}
    layers: dict[int, tuple[str, NodeProto]] = {}
    for node in graph.node:
        if node.name == "to_time_major":
            yield _probe(zoo.ModelValue("encoded"), node, node.output[0], time_major=True)
        if match := _RECURRENT.fullmatch(node.name):
            layer, direction = int(match[1]), int(match[2] == "reverse")
            if node.op_type in NATIVE:
                yield from _native_probes(node, layer)
            elif node.op_type == "Scan":
                if _gives_outputs(node):
                    layers[layer] = (node.output[number_of_states(node)], node)
                yield from _scan_probes(node, layer, direction)
        if match := _UNROLLED.fullmatch(node.name):
            value = zoo.ModelValue("output", int(match[1]), int(match[2] == "reverse"))
            yield _probe(value, node, node.output[0], time_major=True)
        if match := re.fullmatch(r"layer_(\d+)/outputs", node.name) or _AFTER_LOOP.fullmatch(node.name):
            layers[int(match[1])] = (node.output[0], node)
    yield from _probes_after_layers(graph, outputs, layers)


def _probes_after_layers(
    graph: GraphProto, outputs: set[str], layers: dict[int, tuple[str, NodeProto]]
) -> Iterator[zoo.Probe]:
    """Yield the probes of the layers' outputs, of pooling and head, and of the model's outputs."""
    # Nodes with a colon in their name are excluded: a lower precision has added them after a value of that name.
    pooling = [node for node in graph.node if re.fullmatch(r"pooling/[^:]+", node.name)]
    for layer, (name, node) in layers.items():
        if node.name.endswith("/last"):
            pooling = pooling or [node]
        else:
            yield _probe(zoo.ModelValue("outputs", layer), node, name, time_major=True)
    head = [node for node in graph.node if re.fullmatch(r"head(/[^:]+)?", node.name)]
    if pooling:
        yield _probe(zoo.ModelValue("pooled"), pooling[-1], pooling[-1].output[0])
    if head:
        yield _probe(zoo.ModelValue("scores"), head[-1], head[-1].output[0])
    for node in graph.node:
        for name in node.output:
            if name in outputs:
                yield _probe(zoo.ModelValue("named", name=name), node, name)


def _native_probes(node: NodeProto, layer: int) -> Iterator[zoo.Probe]:
    """Yield a probe of each direction of a node's output, (time, directions, batch, hidden)."""
    if not node.output[0]:
        node.output[0] = f"{node.name}:Y"
    for direction in range(2 if attribute_of(node, "direction").s == b"bidirectional" else 1):
        value = zoo.ModelValue("output", layer, direction)
        yield _probe(value, node, node.output[0], time_major=True, slot=direction)


def number_of_states(node: NodeProto) -> int:
    """Return the number of state tensors of a Scan."""
    return len(node.input) - int(attribute_of(node, "num_scan_inputs").i)


def _gives_outputs(node: NodeProto) -> bool:
    return len(node.output) > number_of_states(node)


def _scan_probes(node: NodeProto, layer: int, direction: int) -> Iterator[zoo.Probe]:
    """Yield probes of each state tensor after each step, which are added to the loop, and of the outputs."""
    body = body_of(node)
    assert body is not None
    states = number_of_states(node)
    made = {name: index for index, inner in enumerate(body.node) for name in inner.output}
    parts = sorted(range(states), key=lambda part: made.get(body.output[part].name, -1))
    output = node.output[states] if _gives_outputs(node) else None
    backward = list(attribute_of(node, "scan_input_directions").ints)[:1] or [0]
    given = list(attribute_of(node, "scan_output_directions").ints) or [0] * (len(node.output) - states)
    for part in parts:
        copy = f"{body.name}/every_state_{part}"
        body.node.append(helper.make_node("Identity", [body.output[part].name], [copy], copy))
        body.output.append(ValueInfoProto(name=copy))
        node.output.append(f"{node.name}:every_state_{part}")
        value = zoo.ModelValue("state", layer, direction, part)
        yield _probe(value, node, node.output[-1], time_major=True)
    kept = [attribute for attribute in node.attribute if attribute.name != "scan_output_directions"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("scan_output_directions", given + backward * states)])
    if output is not None:
        yield _probe(zoo.ModelValue("output", layer, direction), node, output, time_major=True)


def _probe(
    value: zoo.ModelValue, node: NodeProto, output: str, *, time_major: bool = False, slot: int | None = None
) -> zoo.Probe:
    return zoo.Probe(value, output, node.name, node.op_type, time_major, slot)
