"""Comparison of the inputs and outputs that two graphs declare: names, order, types and shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from onnx import GraphProto, NodeProto, ValueInfoProto, helper

import zoo
from zoo_onnx.structure.form import type_digest
from zoo_onnx.structure.nodes import FRESH


def interface_differences(
    kind: str, values: Sequence[ValueInfoProto], fresh: Sequence[ValueInfoProto]
) -> Iterator[zoo.Difference]:
    """Yield the inputs, or outputs, of a main graph that differ.

    Args:
        kind: ``input`` or ``output``.
        values: those of the file.
        fresh: those of the fresh export.
    """
    names, due_names = [value.name for value in values], [value.name for value in fresh]
    declarations = {value.name: value for value in fresh}
    for value in values:
        due = declarations.get(value.name)
        if due is None:
            yield zoo.Difference(value.name, "", f"{kind} is not in a fresh export")
        elif type_digest(value) != type_digest(due):
            what = f"{kind} is declared as {type_text(value)}, {FRESH} {type_text(due)}"
            yield zoo.Difference(value.name, "", what)
    for name in due_names:
        if name not in names:
            yield zoo.Difference(name, "", f"{kind} is missing, {FRESH} it")
    if names != due_names and sorted(names) == sorted(due_names):
        yield zoo.Difference("graph", "", f"its {kind}s are {', '.join(names)}, {FRESH} {', '.join(due_names)}")


def body_input_differences(node: NodeProto, body: GraphProto, fresh: GraphProto) -> Iterator[zoo.Difference]:
    """Yield the inputs and outputs of a body that differ; their names have no effect, but their order has."""
    for kind, values, due_values in (("input", body.input, fresh.input), ("output", body.output, fresh.output)):
        for index, (value, due) in enumerate(zip_longest(values, due_values, fillvalue=ValueInfoProto())):
            if type_digest(value) != type_digest(due):
                what = f"{kind} {index} of its body is declared as {type_text(value)}, {FRESH} {type_text(due)}"
                yield zoo.Difference(node.name, node.op_type, what)
        if len(values) != len(due_values):
            what = f"its body has {len(values)} {kind}s, {FRESH} {len(due_values)}"
            yield zoo.Difference(node.name, node.op_type, what)
    names, due_names = [value.name for value in body.input], [value.name for value in fresh.input]
    if names != due_names and sorted(names) == sorted(due_names):
        what = f"the inputs of its body are {', '.join(names)}, {FRESH} {', '.join(due_names)}"
        yield zoo.Difference(node.name, node.op_type, what)


def type_text(value: ValueInfoProto) -> str:
    """Return the declared type and shape of a value, as ``float (batch, time, 8)``."""
    if not value.type.HasField("tensor_type"):
        return value.type.WhichOneof("value") or "nothing"
    tensor = value.type.tensor_type
    sizes = [str(dim.dim_param or (dim.dim_value if dim.HasField("dim_value") else "?")) for dim in tensor.shape.dim]
    kind = helper.tensor_dtype_to_string(tensor.elem_type).removeprefix("TensorProto.").lower()
    return f"{kind} ({', '.join(sizes)})" if tensor.HasField("shape") else f"{kind} of any shape"
