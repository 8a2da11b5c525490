"""Files for tests of `zoo.runtime`: exports of untrained models, and files from other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, TensorProto, helper

import zoo
from tests.support.models import CLASSES, FEATURES, draw, sequences
from zoo.proof.golden_oracle import golden
from zoo_onnx import OnnxExporter

LABELS = tuple(f"label {number}" for number in range(CLASSES))


def write_verified(
    model: zoo.Model,
    folder: Path,
    signature: zoo.Signature | None = None,
    sample: zoo.Split | None = None,
    **options: Any,
) -> Path:
    """Export a model of `tests.support.models.make_model` with all the metadata that the loader requires.

    Args:
        signature: signature of the model's data; numbers and `LABELS` when None.
        sample: data from which the golden input is taken.
        options: options of `zoo.ExportOptions`.
    """
    chosen = zoo.ExportOptions(**options)
    signature = signature or zoo.Signature(features=FEATURES, labels=LABELS, by_step=model.by_step)
    sample = sample or sequences(draw(2, 6))
    metadata = {"signature": json.dumps(signature.to_dict()), **golden(model, sample, chosen.steps).to_metadata()}
    path = folder / ("model.stream.onnx" if chosen.streaming else "model.onnx")
    OnnxExporter().export(model, path, metadata, chosen)
    return path


def rewrite(path: Path, file: ModelProto) -> Path:
    """Write a modified file with a new seal."""
    kept = [entry for entry in file.metadata_props if entry.key != "sha256"]
    del file.metadata_props[:]
    file.metadata_props.extend(kept)
    path.write_bytes(zoo.seal_onnx(file.SerializeToString(), {}))
    return path


def counting_file(path: Path, initial: object = 0, dtype: str = "int64") -> Path:
    """Write a file whose state counts the steps: y = the sum of x (batch, time, 2) + the number of steps before it.

    Args:
        initial: initial value of the state in the metadata.
        dtype: dtype of the state in the metadata.
    """
    infos = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "time", 2]),
        helper.make_tensor_value_info("state_0_steps", TensorProto.INT64, ["batch", 1]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1]),
        helper.make_tensor_value_info("next_state_0_steps", TensorProto.INT64, ["batch", 1]),
    ]
    nodes = [
        helper.make_node("Shape", ["x"], ["steps"], start=1, end=2),
        helper.make_node("Add", ["state_0_steps", "steps"], ["next_state_0_steps"]),
        helper.make_node("ReduceSum", ["x", "axes"], ["sum"], keepdims=0),
        helper.make_node("Unsqueeze", ["sum", "last"], ["column"]),
        helper.make_node("Cast", ["state_0_steps"], ["before"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["column", "before"], ["y"]),
    ]
    axes = [
        helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2]),
        helper.make_tensor("last", TensorProto.INT64, [1], [1]),
    ]
    graph = helper.make_graph(nodes, "counting", infos[:2], infos[2:], axes)
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    state = {"input": "state_0_steps", "output": "next_state_0_steps", "shape": ["batch", 1]}
    contract = [{**state, "dtype": dtype, "initial": initial}]
    file.metadata_props.append(onnx.StringStringEntryProto(key="states", value=json.dumps(contract)))
    return rewrite(path, file)


def foreign_file(path: Path, operator: str = "Relu", domain: str = "") -> Path:
    """Write a valid file that is no export of this project: y = an operator of x (batch, time, 8)."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "time", 8]) for name in "xy"]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"], domain=domain)], "g", values[:1], values[1:])
    opsets = [helper.make_opsetid(name, version) for name, version in {"": 20, domain: 1 if domain else 20}.items()]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path
