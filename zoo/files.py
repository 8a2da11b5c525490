"""Atomic writing of files: after a crash the old or the new content is there, never a part of it."""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo.errors import RunError

PARTIAL = ".partial"
"""Suffix of the temporary file during a write."""
STALE_SECONDS = 3600.0
"""Minimum age of a temporary file that counts as left by a killed writer; a write takes seconds at most."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write ``content`` to a temporary file beside ``path``, sync it to disk and rename it over ``path``.

    The folder is created if necessary. Concurrent writers of one file each have their own temporary file; the last one
    to finish wins.

    Raises:
        RunError: if the file cannot be written, for example on a full disk; an older file is then unchanged.
    """
    write_together({path: content})


def write_together(contents: Mapping[Path, bytes | str]) -> None:
    """Write several files atomically, and replace none of them before the contents of all are on disk.

    Args:
        contents: content by path; text is encoded as UTF-8.

    Raises:
        RunError: if a file cannot be written; the older files are then unchanged.
    """
    written: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            # tempfile creates files that only their owner may read. Mode "x" fails if the name exists.
            written[path] = temporary = path.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
            with temporary.open("xb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
        for path, temporary in written.items():
            temporary.replace(path)
            _sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        for temporary in written.values():
            with suppress(OSError):
                temporary.unlink()


def unwritable(path: Path, error: OSError) -> RunError:
    """Return the error for a failed write: the reason, and advice if the disk is full."""
    advice = "; free some space and do it again" if error.errno in _FULL else ""
    return RunError(f"{path}: cannot be written: {error.strerror or error}{advice}")


def remove_stale(folder: Path) -> None:
    """Remove temporary files that killed writers left in a folder; recent ones may still have a writer and stay."""
    for file in folder.glob(f".*{PARTIAL}"):
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > STALE_SECONDS:
                file.unlink()


def _sync_folder(path: Path) -> None:
    """Sync a folder to disk, so that a rename in it survives a power failure."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically; NaN and infinity, which JSON lacks, become null."""
    write_atomically(path, json_text(value))


def json_text(value: Any) -> str:
    """Return the text that `write_json` writes."""
    return json.dumps(json_safe(value), indent=2, ensure_ascii=False) + "\n"


def json_safe(value: Any) -> Any:
    """Return a copy of the value with NaN and infinity replaced by None."""
    if isinstance(value, dict):
        return {key: json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
