"""Reader and writer of the Protocol Buffers wire format, for untrusted files and without the protobuf library.

A message is a sequence of fields. Each is a key, with the field's number and wire type, followed by the value.
Source: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types. The missing ones, 3 and 4, delimit groups, which are deprecated and rejected here."""
_WIDTH = {FIXED64: 8, FIXED32: 4}


class MalformedError(ValueError):
    """Bytes that are no message, or only a part of one."""


class Field(NamedTuple):
    """Field of a message."""

    number: int
    value: int | memoryview
    """Number for the wire type VARINT; otherwise the bytes, which may be a text or another message."""


def fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message in order.

    Raises:
        MalformedError: if the last field is incomplete, or a field has an invalid number or wire type.
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire_type = key >> 3, key & 7
        if not 0 < number < 2**29:
            raise MalformedError(f"a field has the number {number}")
        if wire_type == VARINT:
            value, position = _varint(message, position)
            yield Field(number, value)
            continue
        if wire_type == BYTES:
            size, position = _varint(message, position)
        elif wire_type in _WIDTH:
            size = _WIDTH[wire_type]
        else:
            raise MalformedError(f"field {number} has an unknown wire type")
        if size > len(message) - position:
            raise MalformedError(f"field {number} extends past the end")
        yield Field(number, message[position : position + size])
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return the number at a position, seven bits a byte with the lowest first, and the position after it."""
    value = 0
    for index in range(10):  # ten groups of seven bits hold 64 bits
        if position + index >= len(message):
            raise MalformedError("a number extends past the end")
        byte = message[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise MalformedError("a number has more than 64 bits")


def write_bytes(number: int, value: bytes) -> bytes:
    """Return an encoded field whose value is bytes, a text or a message."""
    return _write_varint(number << 3 | BYTES) + _write_varint(len(value)) + value


def _write_varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
