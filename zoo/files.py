"""Writing files so that a crash leaves the old one or the new one, never half of one."""

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
"""How the name of a file ends while it is being written."""
STALE_SECONDS = 3600.0
"""How old a partial file is, at least, when its writer is taken for dead: writing one takes seconds at most."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write ``content`` to a temporary file beside ``path``, sync it to disk and rename it over ``path``.

    Makes the folder where there is none. Several writers may write one file at once: each has a temporary file of its
    own, and the last to end wins.

    Raises:
        RunError: where it cannot be written (a full disk, say); an older file is then as it was.
    """
    write_together({path: content})


def write_together(contents: Mapping[Path, bytes | str]) -> None:
    """The same for several files, none of which is replaced before all are on the disk.

    Raises:
        RunError: where one cannot be written; the older files are then as they were.
    """
    written: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not tempfile's, whose files nobody else may read; "x" refuses a name that is taken.
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
    """The error for a file that cannot be written: why, and where the disk is full what to do."""
    advice = "; free some space and do it again" if error.errno in _FULL else ""
    return RunError(f"{path}: cannot be written: {error.strerror or error}{advice}")


def remove_stale(folder: Path) -> None:
    """Remove what writers that were killed have left in a folder. What was written to of late may have a writer yet."""
    for file in folder.glob(f".*{PARTIAL}"):
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > STALE_SECONDS:
                file.unlink()


def _sync_folder(path: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, value: Any) -> None:
    """Write one JSON object for people and programs, atomically. NaN and infinity become null: JSON has neither."""
    write_atomically(path, json_text(value))


def json_text(value: Any) -> str:
    """What `write_json` writes."""
    return json.dumps(json_safe(value), indent=2, ensure_ascii=False) + "\n"


def json_safe(value: Any) -> Any:
    """The same value with every float that JSON cannot hold replaced by None."""
    if isinstance(value, dict):
        return {key: json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
