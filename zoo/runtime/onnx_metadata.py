"""Metadata entries of an ONNX file, from its bytes: all of them, in order. Needs neither torch nor onnx."""

from __future__ import annotations

from zoo.runtime.onnx_seal import KEY, METADATA, VALUE
from zoo.runtime.protobuf import fields


def metadata_entries(content: bytes) -> list[tuple[str, str]]:
    """Return the metadata entries of a file, key and text; a key may occur more than once.

    Args:
        content: the bytes of the file.

    Raises:
        MalformedError: if it is no ONNX file.
    """
    entries = [field.value for field in fields(memoryview(content)) if field.number == METADATA]
    return [(_text(entry, KEY), _text(entry, VALUE)) for entry in entries if isinstance(entry, memoryview)]


def _text(entry: memoryview, number: int) -> str:
    """Return a text of an entry, the last one of its number as in protobuf; empty if there is none."""
    values = [field.value for field in fields(entry) if field.number == number]
    return str(values[-1], "utf-8", "replace") if values and isinstance(values[-1], memoryview) else ""
