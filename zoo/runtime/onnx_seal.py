"""The seal of an ONNX file: a hash over every byte of it, kept in the file itself. Needs neither torch nor onnx.

It is the last entry of the file's metadata, always equally long, and stands at the very end::

    72 4a | 0a 06 "sha256" | 12 40 <64 hexadecimal digits>

which is SHA-256 over all the bytes before it. Protocol Buffers let the parts of a list be added at the end of a file,
so that sealing and adding metadata need not understand the rest. A program that reads the file and writes it again may
put the parts in another order, or write them in another way: that breaks the seal, even if the model is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from zoo.runtime.protobuf import Field, MalformedError, fields, write_bytes

METADATA = 14
"""The field of an ONNX model that holds its metadata: an entry each, of a key and a value (onnx.proto, ModelProto)."""
KEY, VALUE = 1, 2
SEAL = "sha256"
_DIGITS = 64


def _entry(key: str, value: str) -> bytes:
    return write_bytes(METADATA, write_bytes(KEY, key.encode()) + write_bytes(VALUE, value.encode()))


_SEALED = len(_entry(SEAL, "0" * _DIGITS))
_HEAD = _entry(SEAL, "0" * _DIGITS)[:-_DIGITS]
_SEAL_KEY = write_bytes(KEY, SEAL.encode())


def seal_onnx(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """An ONNX file with further entries in its metadata and a new seal.

    Args:
        content: the bytes of the file, sealed or not.
        metadata: text by name; the file has none of these names yet.
    """
    if _ends_with_seal(content):
        content = content[:-_SEALED]
    content += b"".join(_entry(key, value) for key, value in metadata.items())
    return content + _entry(SEAL, hashlib.sha256(content).hexdigest())


def seal_fault(content: bytes) -> str | None:
    """What the seal says against an ONNX file, and what to do; None where it is whole."""
    if not _ends_with_seal(content):
        if _HEAD in content:
            return (
                "was altered since it was exported, or another program saved it again: its seal is not at its end; "
                "take the file as it was, or export the run again"
            )
        return "carries no seal, so Recurrent Zoo did not write it, or an older one did; export the run again"
    if content[-_DIGITS:] != hashlib.sha256(memoryview(content)[:-_SEALED]).hexdigest().encode():
        return (
            "was altered since it was exported: its hash does not match; take the file as it was, or export the run "
            "again"
        )
    return None


def only_adds_metadata(before: bytes, after: bytes) -> bool:
    """Whether an ONNX file became another by gaining entries of its metadata, and a new seal, and in no other way."""
    try:
        (parts, entries), (new_parts, new_entries) = _split(before), _split(after)
    except MalformedError:
        return False
    return parts == new_parts and entries == new_entries[: len(entries)]


def _split(content: bytes) -> tuple[list[Field], list[Field]]:
    """The fields of a file that are no metadata, and the entries of its metadata but the seal."""
    found = list(fields(memoryview(content)))
    entries = [field for field in found if field.number == METADATA and not _is_seal(field)]
    return [field for field in found if field.number != METADATA], entries


def _is_seal(entry: Field) -> bool:
    return isinstance(entry.value, memoryview) and entry.value[: len(_SEAL_KEY)] == _SEAL_KEY


def _ends_with_seal(content: bytes) -> bool:
    return content[-_SEALED:].startswith(_HEAD)
