"""What an ONNX file would have a runtime fetch from elsewhere, told from its bytes alone. Needs neither torch nor onnx.

A file may keep its weights in other files, by any path that it likes, and may name operators that only a library
brings. ONNX Runtime must never get to see such a file, since it opens what it is told to. So the few parts that can say
such a thing are looked into, by the numbers that onnx.proto gives to their fields.
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
"""The parts of each part that have to be looked into, by the number of their field."""
_GRAPH = 7
_NODE_OPERATOR, _NODE_DOMAIN, _FUNCTION_DOMAIN = 4, 7, 10
_TENSOR_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14

BUILT_IN = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""The domains whose operators ONNX Runtime has by itself."""
DEPTH = 100
"""Parts within parts, which is as deep as protobuf's own readers go."""


class _Part(NamedTuple):
    """A part of the file."""

    kind: str
    fields: list[Field]

    def text(self, number: int) -> str:
        """A field that holds a text, as the last one of that number says; empty where there is none."""
        found = [field.value for field in self.fields if field.number == number]
        return str(found[-1], "utf-8", "replace") if found and isinstance(found[-1], memoryview) else ""


def onnx_fault(content: bytes) -> str | None:
    """What is wrong with the bytes of an ONNX file that Recurrent Zoo is said to have written, and what to do.

    That it is no ONNX file, that it needs something from elsewhere, or that its seal is missing or broken. None where
    all is well.
    """
    return contents_fault(content) or seal_fault(content)


def contents_fault(content: bytes) -> str | None:
    """The same, whoever wrote it: the seal is left out."""
    try:
        model, *others = _parts(content)
        if not any(field.number == _GRAPH for field in model.fields):
            raise MalformedError("it holds no graph")
        return _foreign_fault(others)
    except MalformedError as error:
        return f"is not an ONNX file, or only a part of one ({error}); export the run again"


def _parts(content: bytes) -> Iterator[_Part]:
    """The model, and then every part within it that has to be looked into."""
    waiting = [("model", memoryview(content), 0)]
    while waiting:
        kind, message, depth = waiting.pop()
        if depth > DEPTH:
            raise MalformedError(f"it is nested more than {DEPTH} times")
        part = _Part(kind, list(fields(message)))
        yield part
        for field in part.fields:
            inside = _INSIDE[kind].get(field.number)
            if inside is not None and isinstance(field.value, memoryview):
                waiting.append((inside, field.value, depth + 1))


def _foreign_fault(parts: list[_Part]) -> str | None:
    """Which weight or operator has to come from elsewhere."""
    known = BUILT_IN | {part.text(_FUNCTION_DOMAIN) for part in parts if part.kind == "function"}
    for part in parts:
        if part.kind == "tensor" and _is_external(part):
            return (
                f"keeps the weight {part.text(_TENSOR_NAME)!r} in another file, which is not read; Recurrent Zoo "
                "writes one file, so export the run again"
            )
        if part.kind == "node" and (domain := part.text(_NODE_DOMAIN)) not in known:
            return (
                f"has the operator {domain}.{part.text(_NODE_OPERATOR)}, which only a library of custom operators "
                "brings, and none is loaded; export the run again"
            )
    return None


def _is_external(tensor: _Part) -> bool:
    return any(
        field.number == _EXTERNAL_DATA or (field.number == _DATA_LOCATION and field.value != 0)
        for field in tensor.fields
    )
