"""Prepared rows of series: as a data set in memory, or in a cache and mapped from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import zoo
from zoo.data.caching.cache import Contents, Making, kept
from zoo.data.caching.mapped import trim
from zoo.data.caching.space import MEMORY, Space
from zoo.data.sources.windows import Rows, copy_windows, follow, windows

__all__ = ["Prepared", "cached", "joined", "narrowed"]

PARTS = ("train", "validation", "test")
_BLOCK = 2**15
"""Rows that are converted at a time."""


@dataclass(frozen=True)
class Prepared:
    """The rows of all series, their parts, and what describes them."""

    rows: Rows
    parts: tuple[tuple[range, ...], ...]
    """For each part the steps of each series."""
    signature: zoo.Signature
    description: str
    source: str
    """The file as messages name it."""

    def last_rows(self) -> list[NDArray[np.int64]]:
        """Return for each part the last rows of its windows.

        Raises:
            DataError: a part has no window.
        """
        result = [self.rows.last_rows(part) for part in self.parts]
        for name, last in zip(PARTS, result, strict=True):
            if not len(last):
                raise zoo.DataError(
                    f"data.{name}: every window of {self.source} in this part has a missing target; fill them in, or "
                    "choose another rule than data.missing: mask"
                )
        return result

    def dataset(self, contents: Contents | None = None) -> zoo.Dataset:
        """Return the windows; with the contents of a cache, windows that are no views are mapped from it."""
        copies: dict[str, NDArray[Any]] = {} if contents is None else contents.arrays
        train, validation, test = (
            windows(self.rows, last, copies.get(name)) for name, last in zip(PARTS, self.last_rows(), strict=True)
        )
        cache = "" if contents is None else str(contents.folder)
        return zoo.Dataset(train, validation, test, self.signature, self.description, cache=cache)


def cached(path: Path, config: zoo.Config, prepare: Callable[[Space], Prepared]) -> zoo.Dataset:
    """Return the data set of a file, mapped from the cache; it is prepared where the cache does not have it.

    Args:
        path: the file.
        config: the fields of the spec.
        prepare: prepares the file with the arrays ``x``, ``y`` and ``before`` of a space.
    """
    options = config.model_copy(update={"file": path.name, "cache": True}).model_dump_json()
    contents = kept([path], f"{config.__class__.__qualname__} {options}", lambda space: _keep(prepare(space), space))
    values = contents.values
    arrays = [torch.from_numpy(contents.arrays[name]) for name in ("x", "y", "before")]
    rows = Rows(arrays[0], arrays[1], arrays[2], tuple(values["starts"]), *values["lengths"])
    parts = tuple(tuple(range(*steps) for steps in part) for part in values["parts"])
    signature = zoo.Signature.from_dict(values["signature"])
    return Prepared(rows, parts, signature, values["description"], str(path)).dataset(contents)


def _keep(prepared: Prepared, space: Making) -> None:
    """Put what `cached` reads into a space."""
    rows = prepared.rows
    for name, last in zip(PARTS, prepared.last_rows(), strict=True):
        if not follow(last):
            copy_windows(rows, last, space.empty((len(last), rows.window, rows.x.shape[1]), np.float32, name=name))
    space.values = {
        "starts": rows.starts,
        "lengths": (rows.window, rows.horizon, rows.season),
        "parts": [[(steps.start, steps.stop) for steps in part] for part in prepared.parts],
        "signature": prepared.signature.to_dict(),
        "description": prepared.description,
    }


def joined(parts: Sequence[NDArray[np.float64]], space: Space = MEMORY) -> NDArray[np.float64]:
    """Return the rows of all series, column by column in memory (Fortran order), as sums over one series are made."""
    if len(parts) == 1:
        return parts[0]
    result = space.empty((sum(map(len, parts)), parts[0].shape[1]), order="F")
    for column in range(result.shape[1]):
        np.concatenate([part[:, column] for part in parts], out=result[:, column])
        trim()
    return result


def narrowed(values: NDArray[np.float64], space: Space, name: str) -> Tensor:
    """Return rows as float32, row by row in memory (C order), in an array of a space."""
    result = space.empty(values.shape, np.float32, name=name)
    for start in range(0, len(values), _BLOCK):
        result[start : start + _BLOCK] = values[start : start + _BLOCK]
        trim()
    return torch.from_numpy(result)
