"""The graph of a whole model, from the user's units to the named outputs."""

from __future__ import annotations

import onnx_ir as ir

import zoo
from zoo_onnx.builder import GraphBuilder
from zoo_onnx.lengths import Lengths
from zoo_onnx.lowering import lower_encoder, lower_stack
from zoo_onnx.scores import lower_head, lower_readout

FLOAT, INT64 = ir.TensorType(ir.DataType.FLOAT), ir.TensorType(ir.DataType.INT64)


def model_graph(model: zoo.Model, build: GraphBuilder) -> ir.Graph:
    """Put the graph together: inputs ``x`` and, where the model takes them, ``lengths``."""
    if model.encoder.tokens:
        x = ir.Value(name="x", type=INT64, shape=ir.Shape(["batch", "time"]))
    else:
        x = ir.Value(name="x", type=FLOAT, shape=ir.Shape(["batch", "time", model.encoder.output_size]))
    inputs, lengths = [x], None
    if model.takes_lengths:
        inputs.append(ir.Value(name="lengths", type=INT64, shape=ir.Shape(["batch"])))
        lengths = Lengths(build, inputs[1], x)
    encoded = lower_encoder(build, model.encoder, x)
    time_major = build.node("Transpose", "to_time_major", [encoded], {"perm": [1, 0, 2]})
    features = lower_stack(build, model.stack, time_major, model.pooling, lengths)
    scores = lower_head(build, model.head, features, by_step=model.by_step)
    if model.by_step and lengths is not None:
        scores = lengths.zero_beyond(scores, "head/within_lengths")
    axes = ["batch", "time"] if model.by_step else ["batch"]
    outputs = lower_readout(build, model.readout, scores, axes)
    return ir.Graph(
        inputs,
        outputs,
        nodes=build.nodes,
        initializers=build.initializers,
        opset_imports={"": build.opset},
        name=model.layers()[0].name,
    )
