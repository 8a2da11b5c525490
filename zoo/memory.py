"""Memory of the machine, and the check of a spec against it before anything is allocated. Does not need torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from zoo.errors import SpecError

_CONTAINER = Path("/sys/fs/cgroup/memory.max")
"""Memory limit of the process's container in bytes (Linux, cgroup 2); ``max`` without a limit."""


def machine_memory() -> int:
    """Return the memory of the machine, or of its container if that has less, in bytes.

    This is the total and not the free memory: whether a spec is accepted must not depend on other processes.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        memory = min(memory, int(_CONTAINER.read_text()))
    return memory


def require_memory(size: int, what: str, fields: Mapping[str, int]) -> None:
    """Raise an error if something takes more memory than the machine has.

    Args:
        size: lower bound of its peak memory, in bytes.
        what: name of the thing for the message, plural.
        fields: values by name of the spec fields that determine the size, such as ``data.time``. The message begins
            with the one of the largest value.

    Raises:
        SpecError: if ``size`` exceeds `machine_memory`.
    """
    if size > (memory := machine_memory()):
        largest = max(fields, key=lambda name: fields[name])
        names = " or ".join(filter(None, (", ".join([*fields][:-1]), [*fields][-1])))
        raise SpecError(
            f"{largest}: {what} take at least {size / 1e9:,.1f} GB of memory, and this machine has "
            f"{memory / 1e9:,.1f} GB; choose a lower {names}"
        )
