"""An ONNX file in words."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx_ir as ir

import zoo
from zoo_onnx.operators import GATES

LONG = 200
"""Metadata longer than this is told by its length."""


def summarise(model: ir.Model, path: Path) -> zoo.GraphSummary:
    """What is in the file, in the order in which a reader asks."""
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
        {value.name or "": _form(value) for value in graph.inputs},
        {value.name or "": _form(value) for value in graph.outputs},
        [(node.name or "", node.op_type, _note(node)) for node in graph],
        {
            key: value if len(value) <= LONG else f"({len(value):,} characters)"
            for key, value in model.metadata_props.items()
        },
    )


def _form(value: ir.Value) -> str:
    kind = value.type.dtype.name.lower() if value.type is not None else "unknown"
    shape = ", ".join(str(size) for size in value.shape) if value.shape is not None else "?"
    return f"{kind} ({shape})"


def _note(node: ir.Node) -> str:
    """For a recurrent node what it does and in which direction; nothing for the others."""
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
    """What the body of a loop consists of."""
    body = node.attributes["body"].as_graph()
    directions = node.attributes.get_ints("scan_input_directions", [])
    operators = Counter(inner.op_type for inner in body)
    parts = ", ".join(f"{count} {name}" if count > 1 else name for name, count in operators.most_common())
    return f"{'reverse' if any(directions) else 'forward'}, {sum(operators.values())} nodes a step: {parts}"
