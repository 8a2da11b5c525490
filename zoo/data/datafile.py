"""Opening a data file so that whatever the system has against it becomes one line for a person."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from zoo.errors import DataError

LONGEST = 255
"""Bytes of a name in a folder: the limit of ext4, XFS, APFS and NTFS. The system itself refuses a longer one only where
the folder is there."""
SHOWN = 60
"""Characters of a name that is refused which a message shows."""


def name_fault(path: Path) -> str | None:
    """What is wrong with the name of a file, whether there is one or not, as a line that begins with it; or None.

    A name with a control character would break every message about the file in two, and be no source for a table of
    answers; one that is too long, or has a NUL in it, the system does not take.
    """
    text = str(path)
    if bad := next((one for one in text if unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp")), None):
        what = "a byte that is not UTF-8" if unicodedata.category(bad) == "Cs" else "a control character"
        return f"{_shown(text)}: has {what} in its name, {bad!a}; give it another name"
    if _is_too_long(path):
        return f"{_shown(text)}: has a name of {len(text):,} characters, more than the system takes; give a shorter one"
    return None


def _is_too_long(path: Path) -> bool:
    if any(len(os.fsencode(part)) > LONGEST for part in path.parts):
        return True
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def _shown(name: str) -> str:
    """A name as a message shows it, short and on one line."""
    return repr(name if len(name) <= SHOWN else name[:SHOWN] + "...")


@contextmanager
def open_data(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading bytes.

    Raises:
        DataError: it is missing, is something else than a file (a pipe would wait for ever), or cannot be read, now or
            at any later moment while it is open; or its name is one that `name_fault` refuses.
    """
    if fault := name_fault(path):
        raise DataError(fault)
    try:
        mode = _mode(path)
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
            raise DataError(f"{path}: is {kind}, expected a file")
        with path.open("rb") as stream:
            yield stream
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except ValueError as error:  # a zero byte in the name
        raise DataError(f"{path}: cannot be read: {error}") from error
