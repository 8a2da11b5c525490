"""Arrays by name from a ``.npz`` file, or one from a ``.npy`` file, as NumPy writes them. NumPy only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.datafile import open_data
from zoo.errors import DataError

KINDS = "biufc"
"""Kinds of NumPy dtypes (``dtype.kind``) that are accepted: booleans and numbers."""


def read_arrays(path: Path, *, texts: bool = False) -> dict[str, NDArray[Any]]:
    """Read all arrays of a file, each with its own dtype; pickled objects in it are refused, not loaded.

    Args:
        path: a file of ``numpy.savez`` or ``numpy.save``.
        texts: whether arrays of texts, dtype ``U``, are accepted too.

    Returns:
        Contiguous arrays by name, in the order of the file. Those that were saved without a name, as the array of a
        ``.npy`` file, are called ``arr_0``, ``arr_1`` and so on.

    Raises:
        DataError: the file is none of these, is damaged, or has no array; or an array has other values than numbers.
    """
    with open_data(path) as stream:
        try:
            content = np.load(stream, allow_pickle=False)
            arrays = {"arr_0": content} if isinstance(content, np.ndarray) else dict(content.items())
        except Exception as error:  # NumPy, zipfile and zlib raise many types for damaged files
            text = " ".join(str(error).split())[:200]
            if text.startswith("Object arrays"):
                raise DataError(
                    f"{path}: cannot be read as arrays: Python objects in it could run code when they are loaded; "
                    "write sequences of different lengths one after the other, with the array of their lengths, by "
                    "numpy.savez"
                ) from error
            raise DataError(
                f"{path}: cannot be read as arrays: {type(error).__name__}: {text}; write numbers with numpy.savez"
            ) from error
    if not arrays:
        raise DataError(f"{path}: contains no array; write it with numpy.savez(path, x=..., lengths=...)")
    kinds = KINDS + "U" if texts else KINDS
    return {name: _plain(values, f"{path}: {name}", kinds) for name, values in arrays.items()}


def _plain(values: Any, where: str, kinds: str) -> NDArray[Any]:
    """Return an array in this machine's byte order; where it is not numbers, raise a `DataError`."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in kinds:
        kind = values.dtype if isinstance(values, np.ndarray) else "no array"
        raise DataError(f"{where} is of type {kind}, expected numbers or booleans")
    return np.array(values, values.dtype.newbyteorder("="), order="C")
