"""The rule by which data are read through the cache, and where it is."""

from __future__ import annotations

import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Literal

from zoo.memory import machine_memory

__all__ = ["CacheRule", "cache_folder", "is_cached"]

CacheRule = Literal["auto"] | bool
"""Whether data are kept in the cache: ``auto`` where they would take more than `SHARE` of the memory."""

SHARE = 0.5
"""Share of the machine's memory that the reading of a file may take."""
_TEXT, _CELL, _ARRAY = 8, 32, 6
"""Bytes of memory that are taken at the peak for each byte of a text file, for each cell of a Parquet or Arrow file,
and for each byte of an array before compression: cells as texts or numbers, columns, features and windows. Measured on
tables of numbers, and on arrays of float64 (up to 4), which have twice the bytes of float32."""


def is_cached(rule: CacheRule, *paths: Path) -> bool:
    """Return whether the data of some files are read through the cache.

    Args:
        rule: of the spec.
        paths: the files; where one cannot be read they are not cached, so that its reader raises the error.
    """
    if not all(path.is_file() for path in paths):
        return False
    return rule if rule != "auto" else sum(map(_peak, paths)) > SHARE * machine_memory()


def _peak(path: Path) -> int:
    """Return an estimate of the bytes of memory that the data of a file take at their peak."""
    size = path.stat().st_size
    if path.suffix.lower() == ".npy":
        return size * _ARRAY
    if path.suffix.lower() == ".npz":
        with suppress(zipfile.BadZipFile, OSError), zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        return size * _ARRAY
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
