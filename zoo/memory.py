"""How much memory there is, and the refusal of what cannot fit into it before any of it is taken. Needs no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from zoo.errors import SpecError

_CONTAINER = Path("/sys/fs/cgroup/memory.max")
"""The limit of the container that the process runs in (Linux, cgroup 2); ``max`` where it has none."""


def machine_memory() -> int:
    """Bytes of memory of this machine, or of the container where that has less.

    All of it rather than what is free just now: whether a spec is accepted must not hang on what else runs.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        memory = min(memory, int(_CONTAINER.read_text()))
    return memory


def require_memory(size: int, what: str, fields: Mapping[str, int]) -> None:
    """Refuse what takes more memory than there is.

    Args:
        size: bytes that it takes at its peak, a lower bound.
        what: what takes them, for the message; plural.
        fields: the fields of the spec, such as ``data.time``, that this size follows from, and their values. The
            message begins with the largest one.

    Raises:
        SpecError: where ``size`` is more than `machine_memory`.
    """
    if size > (memory := machine_memory()):
        largest = max(fields, key=lambda name: fields[name])
        names = " or ".join(filter(None, (", ".join([*fields][:-1]), [*fields][-1])))
        raise SpecError(
            f"{largest}: {what} take at least {size / 1e9:,.1f} GB of memory, and this machine has "
            f"{memory / 1e9:,.1f} GB; choose a lower {names}"
        )
