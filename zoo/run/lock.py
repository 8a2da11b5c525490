"""One writer at a time in a folder, by a lock that ends with its process however that ends."""

from __future__ import annotations

import errno
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from zoo.errors import RunError
from zoo.files import unwritable

LOCK = ".lock"
"""The file in the folder that is locked. It says who holds the lock; it may stay behind, and then means nothing."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
"""What a file system says that has none."""
_MOST = 200
"""Characters of the holder's own words that an error repeats."""


@contextmanager
def locked(folder: Path, job: str) -> Iterator[bool]:
    """While active, no other process, and nothing else in this one, gets the lock of ``folder``, which is made where
    there is none.

    The operating system keeps the lock, on the open file: no process that is gone holds it. Where the system or the
    file system has no such locks (Windows) there is none.

    Args:
        folder: what is written to.
        job: what the lock is for, in the words of the command line; others are given them.

    Yields:
        Whether the lock is held; False where there are none.

    Raises:
        RunError: where another process has it, naming the process and since when; or the folder cannot be written to.
    """
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, held = _open_locked(path)
    except BlockingIOError as error:
        raise RunError(f"{folder}: is in use by {_holder(path)}; wait until that has ended, or end it") from error
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        _describe(descriptor, job)
        yield held
    finally:
        with suppress(OSError):
            path.unlink()  # while it is locked, so that nobody else's is removed
        os.close(descriptor)


def _open_locked(path: Path) -> tuple[int, bool]:
    """The lock file, open, and whether it is locked; raises BlockingIOError where another process has it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            held = _lock(descriptor)
            # The last holder may have removed the file after it was opened here: then the lock is on no file.
            if not held or _is(descriptor, path):
                return descriptor, held
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock an open file, without waiting."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


def _is(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _describe(descriptor: int, job: str) -> None:
    """Write down who holds the lock. It is held without that too, as on a full disk."""
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{job!r} (process {os.getpid()} on {platform.node()}, since {since})\n".encode())


def _holder(path: Path) -> str:
    """What the holder has written down, as far as it has."""
    with suppress(OSError):
        line = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
        if line:
            return "".join(letter if letter.isprintable() else "?" for letter in line[:_MOST])
    return "another process"
