"""Further outputs for a copy of a file: the values of the model on its way from the input to the outputs.

Where they are follows from the names of nodes (exporters/README.md, "The file"), so that a file that has been altered
shows what it still has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import GraphProto, NodeProto, ValueInfoProto, helper

import zoo

_RECURRENT = re.compile(r"layer_(\d+)/[^/]+(?:/(forward|reverse))?")
"""The node of a layer, or of one direction of it."""
_UNROLLED = re.compile(r"layer_(\d+)/[^/]+(?:/(forward|reverse))?/outputs")
_BEHIND = re.compile(r"layer_(\d+)/[^/]+/(?:(?:forward|reverse)/)?(?:within_lengths|last)")
"""What stands between a loop and the next layer."""
NATIVE = ("RNN", "LSTM", "GRU", "DynamicQuantizeLSTM")


def write_probes(path: Path, to: Path) -> list[zoo.Probe]:
    """Write the copy, and say which values its further outputs are."""
    model = onnx.load(path)
    del model.metadata_props[:]  # a copy is for nobody but us, and golden outputs are long
    found = list(_probes(model.graph))
    known = {value.name for value in model.graph.output}
    for name in dict.fromkeys(probe.output for probe in found if probe.output not in known):
        model.graph.output.append(ValueInfoProto(name=name))
    onnx.save(model, to)
    return found


def _probes(graph: GraphProto) -> Iterator[zoo.Probe]:
    outputs = {value.name for value in graph.output}
    layers: dict[int, tuple[str, NodeProto]] = {}
    for node in graph.node:
        if node.name == "to_time_major":
            yield _probe(zoo.ModelValue("encoded"), node, node.output[0], time_major=True)
        if match := _RECURRENT.fullmatch(node.name):
            layer, direction = int(match[1]), int(match[2] == "reverse")
            if node.op_type in NATIVE:
                yield from _of_native(node, layer)
            elif node.op_type == "Scan":
                if _gives_outputs(node):
                    layers[layer] = (node.output[number_of_states(node)], node)
                yield from _of_scan(node, layer, direction)
        if match := _UNROLLED.fullmatch(node.name):
            value = zoo.ModelValue("output", int(match[1]), int(match[2] == "reverse"))
            yield _probe(value, node, node.output[0], time_major=True)
        if match := re.fullmatch(r"layer_(\d+)/outputs", node.name) or _BEHIND.fullmatch(node.name):
            layers[int(match[1])] = (node.output[0], node)
    yield from _on_top(graph, outputs, layers)


def _on_top(graph: GraphProto, outputs: set[str], layers: dict[int, tuple[str, NodeProto]]) -> Iterator[zoo.Probe]:
    """What layers give to each other, what pooling and head make of it, and the outputs."""
    # A colon is that of a value, and such a node is what a lower precision has put behind it.
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


def _of_native(node: NodeProto, layer: int) -> Iterator[zoo.Probe]:
    """The outputs of each direction: (time, directions, batch, hidden)."""
    if not node.output[0]:
        node.output[0] = f"{node.name}:Y"
    both = any(one.name == "direction" and one.s == b"bidirectional" for one in node.attribute)
    for direction in range(2 if both else 1):
        value = zoo.ModelValue("output", layer, direction)
        yield _probe(value, node, node.output[0], time_major=True, slot=direction)


def body_of(node: NodeProto) -> GraphProto | None:
    """The body of a loop; None for any other node."""
    return next((one.g for one in node.attribute if one.name == "body"), None) if node.op_type == "Scan" else None


def number_of_states(node: NodeProto) -> int:
    """How many parts the state of a Scan has."""
    read: int = sum(one.i for one in node.attribute if one.name == "num_scan_inputs")
    return len(node.input) - read


def _gives_outputs(node: NodeProto) -> bool:
    return len(node.output) > number_of_states(node)


def _of_scan(node: NodeProto, layer: int, direction: int) -> Iterator[zoo.Probe]:
    """The outputs of one direction, and each part of its state after each step, which a loop gives only if asked."""
    body = body_of(node)
    assert body is not None
    states = number_of_states(node)
    made = {name: place for place, inner in enumerate(body.node) for name in inner.output}
    parts = sorted(range(states), key=lambda part: made.get(body.output[part].name, -1))
    output = node.output[states] if _gives_outputs(node) else None
    backward = _directions(node, "scan_input_directions")[:1] or [0]
    given = _directions(node, "scan_output_directions") or [0] * (len(node.output) - states)
    for part in parts:
        copy = f"{body.name}/every_state_{part}"
        body.node.append(helper.make_node("Identity", [body.output[part].name], [copy], copy))
        body.output.append(ValueInfoProto(name=copy))
        node.output.append(f"{node.name}:every_state_{part}")
        value = zoo.ModelValue("state", layer, direction, part)
        yield _probe(value, node, node.output[-1], time_major=True)
    kept = [one for one in node.attribute if one.name != "scan_output_directions"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("scan_output_directions", given + backward * states)])
    if output is not None:
        yield _probe(zoo.ModelValue("output", layer, direction), node, output, time_major=True)


def _directions(node: NodeProto, name: str) -> list[int]:
    return next((list(one.ints) for one in node.attribute if one.name == name), [])


def _probe(
    value: zoo.ModelValue, node: NodeProto, output: str, *, time_major: bool = False, slot: int | None = None
) -> zoo.Probe:
    return zoo.Probe(value, output, node.name, node.op_type, time_major, slot)
