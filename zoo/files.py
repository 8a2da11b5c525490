"""Writing files so that a crash leaves the old one or the new one, never half of one."""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo.errors import RunError

PARTIAL = ".partial"
"""How the name of a file ends while it is being written."""


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write ``content`` to a temporary file beside ``path``, sync it to disk and rename it over ``path``.

    Makes the folder where there is none.

    Raises:
        RunError: where it cannot be written (a full disk, say); an older file is then as it was.
    """
    temporary = path.with_name(f".{path.name}{PARTIAL}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise RunError(f"{path}: cannot be written: {error.strerror}") from error


def _sync_folder(path: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, value: Any) -> None:
    """Write one JSON object for people and programs, atomically. NaN and infinity become null: JSON has neither."""
    write_atomically(path, json.dumps(json_safe(value), indent=2, ensure_ascii=False) + "\n")


def json_safe(value: Any) -> Any:
    """The same value with every float that JSON cannot hold replaced by None."""
    if isinstance(value, dict):
        return {key: json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
