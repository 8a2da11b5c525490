"""The graph of a whole model, from the user's units to the named outputs."""

from __future__ import annotations

import onnx_ir as ir

import zoo
from zoo_onnx.builder import GraphBuilder
from zoo_onnx.lengths import Lengths
from zoo_onnx.lowering import encoder_input, lower_encoder, lower_stack
from zoo_onnx.scores import lower_head, lower_readout
from zoo_onnx.states import States

INT64 = ir.TensorType(ir.DataType.INT64)


def model_graph(model: zoo.Model, build: GraphBuilder, states: States | None = None) -> ir.Graph:
    """Put the graph together: inputs ``x`` and, where the model takes them, ``lengths``.

    With ``states`` the graph takes a chunk of every sequence, all of one length, and the states beside it.
    """
    x = encoder_input(model.encoder)
    inputs, lengths = [x], None
    if model.takes_lengths and states is None:
        inputs.append(ir.Value(name="lengths", type=INT64, shape=ir.Shape(["batch"])))
        lengths = Lengths(build, inputs[1], x)
    encoded = lower_encoder(build, model.encoder, x)
    time_major = build.node("Transpose", "to_time_major", [encoded], {"perm": [1, 0, 2]})
    features = lower_stack(build, model.stack, time_major, model.pooling, lengths, states)
    scores, width = lower_head(build, model.head, features, by_step=model.by_step)
    if model.by_step and lengths is not None:
        scores = lengths.zero_beyond(scores, "head/within_lengths")
    shape: list[str | int] = ["batch", "time", width] if model.by_step else ["batch", width]
    outputs = lower_readout(build, model.readout, scores, shape)
    return ir.Graph(
        inputs if states is None else [*inputs, *states.inputs],
        outputs if states is None else [*outputs, *states.outputs],
        nodes=build.nodes,
        initializers=build.initializers,
        opset_imports={"": build.opset},
        name=model.layers()[0].name,
    )
