"""Description of an ONNX file, for `zoo inspect`: facts, inputs, outputs, nodes and metadata."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx_ir as ir

import zoo
from zoo_onnx.operators import GATES

LONG = 200
"""Most characters of a metadata value that are shown in full."""
NPY = b64encode(b"\x93NUMPY").decode()
"""Prefix of an array in the metadata: base64 of a ``.npy`` file.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""
HEADER = 1024
"""Characters of base64 that contain the header of any array that the project writes."""


def summarise(model: ir.Model, path: Path) -> zoo.GraphSummary:
    """Return the description of a file."""
    graph = model.graph
    parameters = sum(value.const_value.size for value in graph.initializers.values() if value.const_value is not None)
    facts = {
        "path": str(path),
        "size": f"{path.stat().st_size:,} bytes",
        "written by": f"{model.producer_name or 'unknown'} {model.producer_version or ''}".strip(),
        "opset": ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in graph.opset_imports.items()),
        "IR version": str(model.ir_version),
        "numbers in weights": f"{parameters:,}",
    }
    return zoo.GraphSummary(
        facts,
        {value.name or "": _type_and_shape(value) for value in graph.inputs},
        {value.name or "": _type_and_shape(value) for value in graph.outputs},
        [(node.name or "", node.op_type, _note(node)) for node in graph],
        {key: describe(value) for key, value in model.metadata_props.items()},
    )


def describe(value: str) -> str:
    """Shorten a metadata value: an array to type and shape, long JSON to its fields, a long text to its size."""
    if value.startswith(NPY) and (array := _array(value)):
        return f"{array}, .npy in base64, {len(value):,} characters"
    if len(value) <= LONG:
        return value
    if shortened := _shortened(value):
        return shortened
    lines = value.count("\n") + (not value.endswith("\n"))
    return f"({f'{lines} lines, ' if lines > 1 else ''}{len(value):,} characters)"


def _array(value: str) -> str | None:
    """Return type and shape of an array, as ``float32 (2, 8, 8)``, from its header; None if that is damaged."""
    try:
        file = BytesIO(b64decode(value[:HEADER]))
        if np.lib.format.read_magic(file) != (1, 0):
            return None
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError:
        return None
    return f"{dtype} {shape}"


def _shortened(value: str) -> str | None:
    """Return the fields of a JSON object, lists and objects in them as sizes; None for any other text."""
    try:
        fields = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    parts = ", ".join(f"{key}: {_short_field(field)}" for key, field in fields.items())
    if len(parts) > LONG:
        parts = f"fields {', '.join(fields)}"
    return f"{parts} ({len(value):,} characters)" if len(parts) <= LONG else None


def _short_field(field: object) -> str:
    if isinstance(field, list | dict) and field:
        return f"{len(field)} {'item' if isinstance(field, list) else 'field'}{'s' if len(field) > 1 else ''}"
    return json.dumps(field, ensure_ascii=False)


def _type_and_shape(value: ir.Value) -> str:
    kind = value.type.dtype.name.lower() if value.type is not None else "unknown"
    shape = ", ".join(str(size) for size in value.shape) if value.shape is not None else "?"
    return f"{kind} ({shape})"


def _note(node: ir.Node) -> str:
    """Return sizes, direction and options of a recurrent node; empty for any other node."""
    if node.op_type == "Scan":
        return _scan_note(node)
    if node.op_type not in GATES:
        return ""
    weight = node.inputs[1]
    shape = weight.shape.numpy() if weight is not None and weight.shape is not None else (0, 0, 0)
    direction = node.attributes.get_string("direction", "forward")
    note = f"{shape[2]} -> {node.attributes.get_int('hidden_size', 0)}, {direction}"
    if node.op_type == "GRU":
        note += ", reset " + ("after" if node.attributes.get_int("linear_before_reset", 0) else "before")
    if activations := node.attributes.get_strings("activations", []):
        note += f", {'/'.join(activations)}"
    return note


def _scan_note(node: ir.Node) -> str:
    """Return the direction of a Scan and the operators of its body."""
    body = node.attributes["body"].as_graph()
    directions = node.attributes.get_ints("scan_input_directions", [])
    operators = Counter(inner.op_type for inner in body)
    parts = ", ".join(f"{count} {name}" if count > 1 else name for name, count in operators.most_common())
    return f"{'reverse' if any(directions) else 'forward'}, {sum(operators.values())} nodes a step: {parts}"
