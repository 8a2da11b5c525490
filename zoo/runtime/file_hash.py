"""SHA-256 of an exported file, compared with a hash that the user got from a source of trust."""

from __future__ import annotations

import hashlib
import re

from zoo.errors import UsageError

_HASH = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")


def sha256(content: bytes) -> str:
    """Return the SHA-256 of all bytes of a file, as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def read_hash(text: str) -> str:
    """Return a hash that a user gave, as 64 lower-case hexadecimal digits.

    Args:
        text: 64 hexadecimal digits in upper or lower case, with or without ``sha256:`` before them.

    Raises:
        UsageError: where the text is anything else.
    """
    if match := _HASH.fullmatch(text):
        return match[1].lower()
    raise UsageError(
        f"the expected hash {text!r} has {len(text)} characters and is no SHA-256: expected 64 hexadecimal digits, "
        "with or without 'sha256:' before them; take it from the run's model card, or from 'sha256sum FILE' on the "
        "machine that exported the file"
    )


def hash_fault(content: bytes, expected: str) -> str | None:
    """Compare the hash of a file with the expected one.

    Args:
        content: the bytes of the file.
        expected: see `read_hash`.

    Returns:
        Both hashes and what to do, where they differ; else None.

    Raises:
        UsageError: where ``expected`` is no hash.
    """
    actual, wanted = sha256(content), read_hash(expected)
    if actual == wanted:
        return None
    return (
        f"its SHA-256 is {actual}, expected {wanted}: it was altered, or it is another file, such as that of another "
        "export; get the original file, or the hash of this one from a source that you trust"
    )
