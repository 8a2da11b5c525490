"""Lock of a folder that allows one writer at a time and that the system releases when its process ends."""

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
"""Name of the locked file in the folder. It describes the holder; a file left behind without a lock has no effect."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)
"""Error numbers of a file system without locks."""
_LONGEST = 200
"""Number of characters of the lock file that an error message repeats at most."""


@contextmanager
def locked(folder: Path, job: str) -> Iterator[bool]:
    """Hold the lock of ``folder``, which is created if missing, while the block runs.

    Meanwhile no other process, and no other call in this process, gets the lock. The operating system keeps it on the
    open file, so it ends with its process. Windows and some file systems have no such locks; there the block runs
    without one.

    Args:
        folder: the folder to write to.
        job: the command that holds the lock, such as ``zoo export``; the error of a second process names it.

    Yields:
        Whether the lock is held; False where the system has no locks.

    Raises:
        RunError: where another process holds the lock, with that process and its start time; or the folder cannot be
            written to.
    """
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, held = _open_locked(path)
    except BlockingIOError as error:
        raise RunError(f"{folder}: is in use by {_holder(path)}; wait until it ends, or stop it") from error
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        _describe(descriptor, job)
        yield held
    finally:
        with suppress(OSError):
            path.unlink()  # while it is locked, so that it cannot be the file of another process
        os.close(descriptor)


def _open_locked(path: Path) -> tuple[int, bool]:
    """Open and lock the file; return its descriptor and whether it is locked.

    Raises:
        BlockingIOError: where another process holds the lock.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            held = _lock(descriptor)
            # The last holder may have removed the file after it was opened here: then the lock is on a deleted file.
            if not held or _is_same_file(descriptor, path):
                return descriptor, held
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock an open file without waiting; return False where the system has no locks."""
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


def _is_same_file(descriptor: int, path: Path) -> bool:
    """Return whether the open file is the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _describe(descriptor: int, job: str) -> None:
    """Write the holder into the lock file. A failure, as on a full disk, does not affect the lock."""
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{job!r} (process {os.getpid()} on {platform.node()}, since {since})\n".encode())


def _holder(path: Path) -> str:
    """Return the holder's description from the lock file, or a general one where there is none."""
    with suppress(OSError):
        line = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
        if line:
            return "".join(letter if letter.isprintable() else "?" for letter in line[:_LONGEST])
    return "another process"
