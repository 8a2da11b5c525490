"""The lowering ``scan``: a cell's own step as the body of an ONNX Scan, one for each direction of a layer."""

from __future__ import annotations

import onnx_ir as ir

from zoo_onnx.gates import width
from zoo_onnx.loop import Loop
from zoo_onnx.states import state_type

FLOAT = ir.TensorType(ir.DataType.FLOAT)


def lower(loop: Loop) -> ir.Value:
    """The loop's node, and what the graph goes on with.

    Time runs from the end by the node's own attribute. Nothing has to be turned around for that, not even where the
    sequences of a batch have lengths: what stands behind a sequence is read first, and leaves its state as it is.
    """
    body = _body(loop)
    gives, states = int(loop.gives_outputs), len(loop.starts)
    direction = int(loop.reverse)
    attributes = {
        "body": body,
        "num_scan_inputs": len(loop.inputs),
        "scan_input_directions": [direction] * len(loop.inputs),
    }
    if gives:
        attributes["scan_output_directions"] = [direction]
    names = [*(f"{loop.name}:{number}" for number in range(states)), *([f"{loop.name}:outputs"] if gives else [])]
    values = list(
        loop.place.build.node_with_outputs("Scan", loop.name, [*loop.starts, *loop.inputs], names, attributes)
    )
    return loop.finish(values.pop() if gives else None, values)


def _shape(width: int) -> ir.Shape:
    return ir.Shape(["batch", width])


def _body(loop: Loop) -> ir.Graph:
    """One step: the states and what comes in -> the states and, where it is needed, the output."""
    name = f"{loop.name}/step"
    nodes: list[ir.Node] = []
    before = [
        ir.Value(name=f"{name}/{part.name}", type=state_type(part), shape=_shape(len(part.initial)))
        for part in loop.parts
    ]
    x = [
        ir.Value(name=f"{name}/x_{number}", type=FLOAT, shape=_shape(width(inner)))
        for number, inner in enumerate(loop.body.inputs)
    ]
    if loop.place.lengths is not None:
        x.append(ir.Value(name=f"{name}/within_length", type=ir.TensorType(ir.DataType.BOOL), shape=_shape(1)))
    output, *after = loop.step(list(x), before, name, nodes)
    wanted = [*after, *([output] if loop.gives_outputs else [])]
    made = {value for node in nodes for value in node.outputs}
    outputs: list[ir.Value] = []
    for value in wanted:  # each output of a body has to be one of its own, made inside
        if value not in made or value in outputs:
            copy = ir.Value(name=f"{name}/output_{len(outputs)}")
            nodes.append(ir.node("Identity", [value], outputs=[copy], name=copy.name))
            value = copy
        outputs.append(value)
    return ir.Graph([*before, *x], outputs, nodes=nodes, name=name)
