"""Prepared arrays on disk, found again by a key of what they were made of; never taken for whole when they are not."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.caching.mapped import open_mapped, trim
from zoo.data.caching.rule import cache_folder
from zoo.data.caching.space import Space
from zoo.data.datafile import open_data
from zoo.files import PARTIAL, unwritable
from zoo.progress import report

__all__ = ["Cache", "Contents", "Making", "kept", "key_of"]

PREPARATION = 1
"""Version of the preparation: to be raised when the same file and options would give other arrays."""
_BLOCK = 2**24
_INDEX, _LOCK = "index.json", "lock"


@dataclass(frozen=True)
class Contents:
    """What a cache contains."""

    folder: Path
    arrays: dict[str, NDArray[Any]]
    """Mapped arrays by name."""
    values: dict[str, Any]
    """Plain values, as JSON keeps them."""


class Making(Space):
    """A space whose named arrays, with ``values``, become the contents of a cache."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.values: dict[str, Any] = {}


def key_of(paths: Sequence[Path], options: str) -> str:
    """Return the key of what is made of files: a SHA-256 of their bytes, the options, and the versions of the makers.

    The bytes count, and neither the names nor the times of the files: a file that was changed and given its old time is
    noticed, and one that was copied is found. Hashing takes a small part of the time of reading the data.

    Args:
        paths: the files.
        options: whatever else decides what is made, as text.

    Raises:
        DataError: a file cannot be read.
    """
    import polars as pl

    digest = hashlib.sha256(f"{PREPARATION} {np.__version__} {pl.__version__} {options}\0".encode())
    done, size = 0, sum(path.stat().st_size for path in paths)
    for path in paths:
        own = hashlib.sha256()
        with open_data(path) as stream:
            while block := stream.read(_BLOCK):
                own.update(block)
                done += len(block)
                report(f"hash of {path}", done / max(size, done))
        digest.update(own.digest())
    return digest.hexdigest()


def kept(paths: Sequence[Path], options: str, make: Callable[[Making], None]) -> Contents:
    """Return what is made of files, from the cache; it is made where the cache does not have it.

    Args:
        paths: see `key_of`.
        options: see `key_of`.
        make: puts the arrays and values into a space.
    """
    cache = Cache(cache_folder(), key_of(paths, options))
    contents = cache.read()
    while contents is None:
        with cache.making() as space:
            make(space)
        contents = cache.read()
    return contents


class Cache:
    """The place of the contents of one key."""

    def __init__(self, folder: Path, key: str) -> None:
        self.path = folder / key

    def read(self) -> Contents | None:
        """Return the contents, or None where there are none; damaged ones are removed.

        Every byte is compared with a CRC-32: a file system may lose what was not yet on disk, and disks lose bits.
        """
        try:
            index = json.loads((self.path / _INDEX).read_text(encoding="utf-8"))
            for name, expected in index["files"].items():
                if _checksum(self.path / name) != expected:
                    raise ValueError(name)
            arrays = {name.removesuffix(".npy"): open_mapped(self.path / name) for name in index["files"]}
            return Contents(self.path, arrays, index["values"])
        except FileNotFoundError:
            if self.path.exists():
                self._remove()
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self._remove()
        return None

    @contextmanager
    def making(self) -> Iterator[Making]:
        """Make the contents: what the block makes with the space appears at once when it ends, or not at all.

        Raises:
            RunError: something cannot be written.
        """
        import fcntl

        folder = self.path.parent
        partial = folder / f".{secrets.token_hex(8)}{PARTIAL}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(folder)
            partial.mkdir()
            with (partial / _LOCK).open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                space = Making(partial)
                yield space
                self._publish(space, partial)
        except OSError as error:
            raise unwritable(partial, error) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _publish(self, space: Making, folder: Path) -> None:
        shutil.rmtree(folder / "scratch", ignore_errors=True)
        files = {path.name: _checksum(path, sync=True) for path in sorted(folder.glob("*.npy"))}
        with (folder / _INDEX).open("w", encoding="utf-8") as file:
            json.dump({"files": files, "values": space.values}, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            folder.rename(self.path)
        except OSError:
            if not self.path.exists():  # another process may have made the same
                raise

    def _remove(self) -> None:
        """Remove the contents, which no process can find from the first moment."""
        doomed = self.path.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
        with suppress(OSError):
            self.path.rename(doomed)
            shutil.rmtree(doomed)


def _checksum(path: Path, *, sync: bool = False) -> list[int]:
    """Return size and CRC-32 of a file, which with ``sync`` is on disk before."""
    size = checksum = 0
    total = max(1, path.stat().st_size)
    with path.open("rb") as file:
        if sync:
            os.fsync(file.fileno())
        while block := file.read(_BLOCK):
            checksum = zlib.crc32(block, checksum)
            size += len(block)
            report("check of the cache", size / total)
            trim()
    return [size, checksum]


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left: a process that lives holds the lock of its folder."""
    import fcntl

    for lock in folder.glob(f".*{PARTIAL}/{_LOCK}"):
        with suppress(OSError), lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
