"""Check that an ONNX file needs no other file and no library, from its bytes. Needs neither torch nor onnx.

An ONNX file may refer to weights in other files, at any path, and to operators of a custom library. ONNX Runtime opens
whatever a file refers to, so it must never receive such a file. This module therefore parses the few parts that can
contain such references, by their field numbers in onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from zoo.runtime.onnx_seal import seal_fault
from zoo.runtime.protobuf import Field, MalformedError, fields

_INSIDE = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""For each kind of part, the kinds of parts inside it to check, by field number."""
_GRAPH = 7
_NODE_OPERATOR, _NODE_DOMAIN, _FUNCTION_DOMAIN = 4, 7, 10
_TENSOR_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14

BUILT_IN = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Domains of the operators that are part of ONNX Runtime."""
DEPTH = 100
"""Maximum depth of nested parts, the limit of protobuf's own readers."""


class _Part(NamedTuple):
    """Part of a file, such as a graph or a node."""

    kind: str
    fields: list[Field]

    def text(self, number: int) -> str:
        """Return the text of a field, the last one of its number as in protobuf; empty if there is none."""
        values = [field.value for field in self.fields if field.number == number]
        return str(values[-1], "utf-8", "replace") if values and isinstance(values[-1], memoryview) else ""


def onnx_fault(content: bytes) -> str | None:
    """Check an ONNX file that Recurrent Zoo wrote: its format, its independence of other files, and its seal.

    Args:
        content: the bytes of the file.

    Returns:
        The fault and what to do, as one line without the file's name; None if there is none. Faults are: it is not an
        ONNX file, it needs another file or a library of custom operators, its seal is missing, or its seal is broken.
    """
    return contents_fault(content) or seal_fault(content)


def contents_fault(content: bytes) -> str | None:
    """Check an ONNX file of any origin as `onnx_fault` does, but without the seal."""
    try:
        model, *others = _parts(content)
        if not any(field.number == _GRAPH for field in model.fields):
            raise MalformedError("it contains no graph")
        return _foreign_fault(others)
    except MalformedError as error:
        return f"is not an ONNX file, or only a part of one ({error}); export the run again"


def _parts(content: bytes) -> Iterator[_Part]:
    """Yield the model, then every part inside it to check."""
    pending = [("model", memoryview(content), 0)]
    while pending:
        kind, message, depth = pending.pop()
        if depth > DEPTH:
            raise MalformedError(f"it is nested more than {DEPTH} times")
        part = _Part(kind, list(fields(message)))
        yield part
        for field in part.fields:
            inner_kind = _INSIDE[kind].get(field.number)
            if inner_kind is not None and isinstance(field.value, memoryview):
                pending.append((inner_kind, field.value, depth + 1))


def _foreign_fault(parts: list[_Part]) -> str | None:
    """Return the first weight in another file or operator of a custom library, as a fault; None if there is none."""
    domains = BUILT_IN | {part.text(_FUNCTION_DOMAIN) for part in parts if part.kind == "function"}
    for part in parts:
        if part.kind == "tensor" and _is_external(part):
            return (
                f"keeps the weight {part.text(_TENSOR_NAME)!r} in another file, which is not read; export it into "
                "one file, as torch.onnx.export does with external_data=False"
            )
        if part.kind == "node" and (domain := part.text(_NODE_DOMAIN)) not in domains:
            return (
                f"has the operator {domain}.{part.text(_NODE_OPERATOR)}, which only a library of custom operators "
                "provides, and none is loaded; export the run again"
            )
    return None


def _is_external(tensor: _Part) -> bool:
    return any(
        field.number == _EXTERNAL_DATA or (field.number == _DATA_LOCATION and field.value != 0)
        for field in tensor.fields
    )
