"""Where the arrays of a preparation are made: in memory, or in the files of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.data.caching.mapped import create, trim

__all__ = ["MEMORY", "Space"]

_BLOCK = 2**20
"""Rows that are copied at a time."""


class Space:
    """Maker of arrays; without a folder they are in memory."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._count = 0

    @property
    def scratch(self) -> Path:
        """The folder of files that are needed only during the preparation; only with a folder."""
        assert self.folder is not None
        path = self.folder / "scratch"
        path.mkdir(exist_ok=True)
        return path

    def empty(
        self, shape: tuple[int, ...], dtype: Any = np.float64, order: Literal["C", "F"] = "C", *, name: str = ""
    ) -> NDArray[Any]:
        """Return an array of any values, for others to be written into it.

        Args:
            shape: its shape.
            dtype: its type.
            order: C for rows, F for columns that are contiguous.
            name: of the file, for a result; empty for an array that is needed only during the preparation.
        """
        if self.folder is None:
            return np.empty(shape, dtype, order)
        self._count += 1
        path = self.folder / f"{name}.npy" if name else self.scratch / f"{self._count}.npy"
        return create(path, shape, dtype, order)

    def kept(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return an array of memory as one of this space."""
        if self.folder is None:
            return values
        result = self.empty(values.shape, values.dtype)
        for start in range(0, len(values), _BLOCK):
            result[start : start + _BLOCK] = values[start : start + _BLOCK]
            trim()
        return result


MEMORY = Space()
