"""Access to data files, in which every failure of the file system becomes a one-line `DataError`."""

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
"""Largest length of one part of a path in bytes: the limit of ext4, XFS, APFS and NTFS. The system itself checks it
only where the folder exists."""
SHOWN = 60
"""Largest number of characters of a rejected name that a message quotes."""


def name_fault(path: Path) -> str | None:
    """Return what is wrong with the name of a file, as a message that begins with it; None for a usable name.

    The file need not exist. A control character in a name would break every message about the file in two lines, and a
    NUL or a name that is too long is rejected by the system.

    Args:
        path: the path of the file.
    """
    text = str(path)
    bad = next((character for character in text if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")), None)
    if bad is not None:
        fault = "a byte that is not UTF-8" if unicodedata.category(bad) == "Cs" else "a control character"
        return f"{_shown(text)}: has {fault} in its name, {bad!a}; give it another name"
    if _is_too_long(path):
        return f"{_shown(text)}: has a name of {len(text):,} characters, more than the system allows; use a shorter one"
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
    """Return a name as messages quote it: on one line, cut to `SHOWN` characters."""
    return repr(name if len(name) <= SHOWN else name[:SHOWN] + "...")


@contextmanager
def open_data(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading bytes.

    Args:
        path: the file.

    Raises:
        DataError: the file is missing; is a folder, a device or a pipe (reading a pipe could block for ever); has a
            name that `name_fault` rejects; or cannot be read, at once or later inside the ``with`` block.
    """
    if fault := name_fault(path):
        raise DataError(fault)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
            raise DataError(f"{path}: is {kind}, expected a file; give the path of a file")
        with path.open("rb") as stream:
            yield stream
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; correct the path") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
