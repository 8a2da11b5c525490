"""Arrays in files that are mapped into memory: the system reads their pages when they are used."""

from __future__ import annotations

import math
import mmap
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from weakref import WeakSet

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from zoo.files import unwritable

__all__ = ["create", "open_mapped", "trim"]

RESIDENT = 320 * 2**20
"""Bytes of mapped files in memory above which `trim` gives them back; libraries are mapped files too."""
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000 if sys.platform == "linux" else 0)
"""Flag by which a mapping may be larger than the memory; Python names it from 3.13."""
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
"""Readers of headers; version 3 is one of records, not of plain numbers."""
_STATM = Path("/proc/self/statm")
_maps: WeakSet[mmap.mmap] = WeakSet()


def create(path: Path, shape: tuple[int, ...], dtype: Any = np.float64, order: Literal["C", "F"] = "C") -> NDArray[Any]:
    """Return a new array of zeros in a ``.npy`` file; what is written to it reaches the file.

    Raises:
        RunError: the file cannot be written, for example on a full disk.
    """
    try:
        array = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape, fortran_order=order == "F")
        with path.open("r+b") as file:
            if hasattr(os, "posix_fallocate"):  # a write to a mapping without room on the disk ends the process
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        raise unwritable(path, error) from error
    _maps.add(array._mmap)  # type: ignore[attr-defined]
    return array.view(np.ndarray)


def open_mapped(path: Path, start: int = 0, end: int | None = None) -> NDArray[Any]:
    """Return the array of a ``.npy`` file without reading it.

    The file never changes: a write to the array stays in this process, and only until `trim`.

    Args:
        path: the file, or one that contains it, such as a ``.npz`` file that is not compressed.
        start: first byte.
        end: byte after the last one; that of the whole file where it is None.

    Raises:
        ValueError, OSError: it is no such file.
    """
    with path.open("rb") as file:
        file.seek(start)
        version = npy.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"a .npy file of version {version}")
        shape, columns, dtype = _HEADERS[version](file)
        offset, size = file.tell(), math.prod(shape)
        if end is None:
            end = path.stat().st_size
        if dtype.hasobject or offset + size * dtype.itemsize > end:
            raise ValueError(f"{dtype} {shape} in {end - offset:,} bytes")
        flags, access = mmap.MAP_PRIVATE | _NO_RESERVE, mmap.PROT_READ | mmap.PROT_WRITE
        mapping = mmap.mmap(file.fileno(), 0, flags=flags, prot=access)
    _maps.add(mapping)
    flat = np.frombuffer(mapping, dtype, size, offset)
    return flat.reshape(shape, order="F" if columns else "C")


def trim() -> None:
    """Give pages of mapped arrays back where many are in memory; they are read again when they are used.

    The system would take them back only when the memory of the machine or its container is full.
    """
    if not _maps:
        return
    with suppress(OSError):
        if int(_STATM.read_bytes().split()[2]) * mmap.PAGESIZE < RESIDENT:
            return
        for mapping in list(_maps):
            mapping.madvise(mmap.MADV_DONTNEED)
