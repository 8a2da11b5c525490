"""Protocol Buffers on the wire, as far as it takes to look into a file without a library and without trusting it.

A message is a row of fields: a key (the field's number and how its value is written), then the value.
Source: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""How a value is written. What is missing, 3 and 4, are groups, which no file since 2008 has."""
_WIDTH = {FIXED64: 8, FIXED32: 4}


class MalformedError(ValueError):
    """The bytes are no message, or only a part of one."""


class Field(NamedTuple):
    """A field of a message."""

    number: int
    value: int | memoryview
    """A number where it is written as a varint; otherwise the bytes, which may be a text or another message."""


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of a message, in their order.

    Raises:
        MalformedError: where it does not end with the end of a field, or has a field that nobody writes.
    """
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if not 0 < number < 2**29:
            raise MalformedError(f"a field has the number {number}")
        if kind == VARINT:
            value, place = _varint(message, place)
            yield Field(number, value)
            continue
        if kind == BYTES:
            size, place = _varint(message, place)
        elif kind in _WIDTH:
            size = _WIDTH[kind]
        else:
            raise MalformedError(f"field {number} is of an unknown kind")
        if size > len(message) - place:
            raise MalformedError(f"field {number} ends beyond the end")
        yield Field(number, message[place : place + size])
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """The number that begins at a place, seven bits a byte, lowest first; and the place after it."""
    value = 0
    for index in range(10):  # ten times seven bits hold the largest number, of 64 bits
        if place + index >= len(message):
            raise MalformedError("a number ends beyond the end")
        byte = message[place + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, place + index + 1
    raise MalformedError("a number has more than 64 bits")


def write_bytes(number: int, value: bytes) -> bytes:
    """A field with bytes, a text or a message in it."""
    return _write_varint(number << 3 | BYTES) + _write_varint(len(value)) + value


def _write_varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
