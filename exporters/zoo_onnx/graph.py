"""The graph of a whole model: encoder, recurrent layers, pooling, head and readout, with inputs and outputs."""

from __future__ import annotations

import onnx_ir as ir

import zoo
from zoo_onnx.builder import GraphBuilder
from zoo_onnx.encoder import Encoding, encoder_input
from zoo_onnx.lengths import Lengths
from zoo_onnx.scores import lower_head, lower_readout
from zoo_onnx.stack import lower_stack
from zoo_onnx.states import States

INT64 = ir.TensorType(ir.DataType.INT64)


def model_graph(model: zoo.Model, build: GraphBuilder, options: zoo.ExportOptions) -> tuple[ir.Graph, States]:
    """Return the graph of a model and its states; inputs are ``x`` and, where the options ask for them, more.

    These are ``lengths`` (batch,), for a model that takes lengths, and the states. With streaming ``x`` is a chunk of
    each sequence, all of one length, so there is no input ``lengths``.
    """
    x = encoder_input(model.encoder, options.steps)
    inputs, lengths = [x], None
    if model.takes_lengths and not options.streaming:
        inputs.append(ir.Value(name="lengths", type=INT64, shape=ir.Shape(["batch"])))
        lengths = Lengths(build, inputs[1], x)
    states = States(build, model.state_parts(), x, held=options.states or options.streaming)
    encoding = Encoding(build, model.encoder, x)
    time_major = build.node("Transpose", "to_time_major", [encoding.vectors()], {"perm": [1, 0, 2]})
    features = lower_stack(build, model, time_major, lengths, states, options)
    scores, width = lower_head(build, model.head, features, by_step=model.by_step)
    if model.by_step and lengths is not None:
        scores = lengths.zero_beyond(scores, "head/within_lengths")
    shape: list[str | int] = ["batch", options.steps or "time", width] if model.by_step else ["batch", width]
    group = encoding.groups if isinstance(model.readout, zoo.RescaleReadout) and model.readout.grouped else None
    outputs = lower_readout(build, model.readout, scores, shape, lengths if model.by_step else None, group)
    graph = ir.Graph(
        [*inputs, *states.inputs],
        [*outputs, *states.outputs],
        nodes=build.nodes,
        initializers=build.initializers,
        opset_imports={"": build.opset},
        name=model.layers()[0].name,
    )
    return graph, states
