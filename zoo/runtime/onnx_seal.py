"""Seal of an ONNX file: a hash of all its bytes, stored in the file itself. Needs neither torch nor onnx.

The seal is a metadata entry of fixed length, the last bytes of the file::

    72 4a | 0a 06 "sha256" | 12 40 <64 hexadecimal digits>

The digits are the SHA-256 of all bytes before the entry. Protocol Buffers allow elements of a list to be appended to
the file, so that sealing and adding metadata need not parse the rest. A program that reads and rewrites the file may
order or encode the parts differently. That breaks the seal, even if the model is the same.

A seal shows damage: a truncated download, a bad disk, an edit by another program. It does not show malice, since it has
no secret: a person who alters a file can seal it again, as `seal_onnx` does. To know that a file is the one that was
exported, compare its hash with one from a source of trust (`zoo.runtime.file_hash`), or verify a signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from zoo.runtime.protobuf import Field, MalformedError, fields, write_bytes

METADATA = 14
"""Field number of metadata_props in ModelProto (onnx.proto); it occurs once for each entry."""
KEY, VALUE = 1, 2
"""Field numbers in StringStringEntryProto (onnx.proto)."""
SEAL = "sha256"
"""Key of the metadata entry with the seal."""
_DIGITS = 64


def _entry(key: str, value: str) -> bytes:
    return write_bytes(METADATA, write_bytes(KEY, key.encode()) + write_bytes(VALUE, value.encode()))


_SEALED = len(_entry(SEAL, "0" * _DIGITS))
_HEAD = _entry(SEAL, "0" * _DIGITS)[:-_DIGITS]
_SEAL_KEY = write_bytes(KEY, SEAL.encode())


def seal_onnx(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """Add entries to the metadata of an ONNX file, and seal it.

    Args:
        content: the bytes of the file, with or without a seal.
        metadata: text by key; the file must have none of these keys.

    Returns:
        The bytes of the new file: the old ones without their seal, the entries, and a new seal.
    """
    if _ends_with_seal(content):
        content = content[:-_SEALED]
    content += b"".join(_entry(key, value) for key, value in metadata.items())
    return content + _entry(SEAL, hashlib.sha256(content).hexdigest())


def seal_fault(content: bytes) -> str | None:
    """Return what is wrong with the seal of an ONNX file, and what to do; None if the file is intact."""
    if not _ends_with_seal(content):
        if _HEAD in content:
            return (
                "was altered since it was exported, or another program saved it again: its seal is not at its end; "
                "take the original file, or export the run again"
            )
        return "carries no seal, so Recurrent Zoo did not write it, or an older version did; export the run again"
    if content[-_DIGITS:] != hashlib.sha256(memoryview(content)[:-_SEALED]).hexdigest().encode():
        return (
            "was altered since it was exported: its hash does not match; take the original file, or export the run "
            "again"
        )
    return None


def only_adds_metadata(before: bytes, after: bytes) -> bool:
    """Return whether two ONNX files differ only by metadata entries added to the second, and by their seals."""
    try:
        (parts, entries), (new_parts, new_entries) = _split(before), _split(after)
    except MalformedError:
        return False
    return parts == new_parts and entries == new_entries[: len(entries)]


def _split(content: bytes) -> tuple[list[Field], list[Field]]:
    """Return the fields of a file other than metadata, and the metadata entries other than the seal."""
    parts = list(fields(memoryview(content)))
    entries = [field for field in parts if field.number == METADATA and not _is_seal(field)]
    return [field for field in parts if field.number != METADATA], entries


def _is_seal(entry: Field) -> bool:
    return isinstance(entry.value, memoryview) and entry.value[: len(_SEAL_KEY)] == _SEAL_KEY


def _ends_with_seal(content: bytes) -> bool:
    return content[-_SEALED:].startswith(_HEAD)
