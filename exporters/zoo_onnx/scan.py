"""From a cell to a Scan body, step 4 of 4, the lowering ``scan``: one Scan for each direction of a layer."""

from __future__ import annotations

import onnx_ir as ir

from zoo_onnx.gates import width
from zoo_onnx.loop import Loop
from zoo_onnx.states import state_type

FLOAT = ir.TensorType(ir.DataType.FLOAT)


def lower(loop: Loop) -> ir.Value:
    """Add the Scan of one direction and return the result of the direction.

    A reverse direction is an attribute of the node, and nothing is reversed outside, even with lengths: the padding of
    a sequence is read first then, and leaves its state unchanged.
    """
    body = _body(loop)
    gives_outputs, states = int(loop.gives_outputs), len(loop.starts)
    direction = int(loop.reverse)
    attributes = {
        "body": body,
        "num_scan_inputs": len(loop.inputs),
        "scan_input_directions": [direction] * len(loop.inputs),
    }
    if gives_outputs:
        attributes["scan_output_directions"] = [direction]
    names = [*(f"{loop.name}:{index}" for index in range(states)), *[f"{loop.name}:outputs"] * gives_outputs]
    values = list(
        loop.place.build.node_with_outputs("Scan", loop.name, [*loop.starts, *loop.inputs], names, attributes)
    )
    return loop.finish(values.pop() if gives_outputs else None, values)


def _shape(width: int) -> ir.Shape:
    return ir.Shape(["batch", width])


def _body(loop: Loop) -> ir.Graph:
    """Return the graph of one step: from the states and the inputs to the states and, if needed, the output."""
    name = f"{loop.name}/step"
    nodes: list[ir.Node] = []
    before = [
        ir.Value(name=f"{name}/{part.name}", type=state_type(part), shape=_shape(len(part.initial)))
        for part in loop.parts
    ]
    x = [
        ir.Value(name=f"{name}/x_{index}", type=FLOAT, shape=_shape(width(inner)))
        for index, inner in enumerate(loop.body.inputs)
    ]
    if loop.place.lengths is not None:
        x.append(ir.Value(name=f"{name}/within_length", type=ir.TensorType(ir.DataType.BOOL), shape=_shape(1)))
    output, *after = loop.step(list(x), before, name, nodes)
    made = {value for node in nodes for value in node.outputs}
    outputs: list[ir.Value] = []
    for value in [*after, *([output] if loop.gives_outputs else [])]:
        if value not in made or value in outputs:  # each output of a body must be distinct, and made inside
            copy = ir.Value(name=f"{name}/output_{len(outputs)}")
            nodes.append(ir.node("Identity", [value], outputs=[copy], name=copy.name))
            value = copy
        outputs.append(value)
    return ir.Graph([*before, *x], outputs, nodes=nodes, name=name)
