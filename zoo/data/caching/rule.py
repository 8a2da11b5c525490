"""The rule by which data are read through the cache, and where it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from zoo.memory import machine_memory

__all__ = ["CacheRule", "cache_folder", "is_cached"]

CacheRule = Literal["auto"] | bool
"""Whether data are kept in the cache: ``auto`` where they would take more than `SHARE` of the memory."""

SHARE = 0.5
"""Share of the machine's memory that the reading of a file may take."""
_TEXT, _CELL = 8, 32
"""Bytes of memory that are taken at the peak for each byte of a text file, and for each cell of a Parquet or Arrow
file: cells as texts or numbers, columns, features and windows. Measured on tables of numbers."""


def is_cached(rule: CacheRule, path: Path) -> bool:
    """Return whether a table is read through the cache.

    Args:
        rule: of the spec.
        path: the file; one that cannot be read is not cached, so that its reader raises the error.
    """
    if not path.is_file():
        return False
    return rule if rule != "auto" else _peak(path) > SHARE * machine_memory()


def _peak(path: Path) -> int:
    """Return an estimate of the bytes of memory that a table takes at its peak."""
    size = path.stat().st_size
    if path.suffix.lower() != ".parquet" or size * _CELL < SHARE * machine_memory():  # a cell takes a byte or so
        return size * _TEXT
    import polars as pl

    try:
        frame = pl.scan_parquet(path)
        cells = len(frame.collect_schema()) * int(frame.select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError):  # the reader raises the error
        return 0
    return cells * _CELL


def cache_folder() -> Path:
    """Return the folder of all cached data: ``recurrent-zoo`` in ``$XDG_CACHE_HOME``, or in ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "recurrent-zoo" / "data"
