"""What --out may be: a path that any file system takes and that can be shown in one line."""

from __future__ import annotations

import errno
import os
import unicodedata
from pathlib import Path
from typing import Any

import click

from zoo.errors import UsageError

LONGEST_NAME = 255
"""Bytes of one name: the limit of ext4, XFS, APFS and NTFS."""
_SHOWN = 40
"""Characters of a path that an error repeats."""


class OutPath(click.Path):
    """A path to write to, as `pathlib.Path`."""

    def __init__(self, *, dir_okay: bool = True) -> None:
        super().__init__(dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = os.fsdecode(value)
        if fault := _fault(text):
            shown = repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}…"
            raise UsageError(f"--out {shown}: {fault}; choose another")
        return super().convert(value, param, ctx)


def _fault(text: str) -> str | None:
    """Why a path cannot be written to, or not be shown; None where it can."""
    for number, letter in enumerate(text, 1):
        category = unicodedata.category(letter)
        if category in ("Cc", "Zl", "Zp"):
            return f"has a control character, U+{ord(letter):04X}, at place {number}"
        if category == "Cs":
            return f"has a byte at place {number} that is not UTF-8"
    longest = max((len(name.encode()) for name in Path(text).parts), default=0)
    if longest > LONGEST_NAME:
        return f"has a name of {longest:,} bytes, and file systems take up to {LONGEST_NAME}"
    try:
        os.lstat(text)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return f"is longer, with {len(text.encode()):,} bytes, than this system takes"
    return None
