"""Arrays by name from a ``.npz`` file, or one from a ``.npy`` file, as NumPy writes them. NumPy only."""

from __future__ import annotations

import struct
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from zoo.data.caching.mapped import open_mapped
from zoo.data.datafile import open_data
from zoo.errors import DataError

KINDS = "biufc"
"""Kinds of NumPy dtypes (``dtype.kind``) that are accepted: booleans and numbers."""
_BLOCK = 2**24
_LOCAL = struct.Struct("<26x2H")
"""Header of a member of a zip file (APPNOTE, 4.3.7), at whose end are the lengths of the name and of the extra field
that follow."""


def read_arrays(path: Path, *, texts: bool = False, mapped: bool = False) -> dict[str, NDArray[Any]]:
    """Read all arrays of a file, each with its own dtype; pickled objects in it are refused, not loaded.

    Args:
        path: a file of ``numpy.savez`` or ``numpy.save``.
        texts: whether arrays of texts, dtype ``U``, are accepted too.
        mapped: whether arrays that are not compressed are mapped into memory instead of read; the file must not change.

    Returns:
        Arrays by name, in the order of the file, contiguous unless they are mapped. Those that were saved without a
        name, as the array of a ``.npy`` file, are called ``arr_0``, ``arr_1`` and so on.

    Raises:
        DataError: the file is none of these, is damaged, or has no array; or an array has other values than numbers.
    """
    with open_data(path) as stream:
        try:
            arrays = _load(path, stream, mapped=mapped)
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
    return {name: _plain(values, f"{path}: {name}", kinds, mapped=mapped) for name, values in arrays.items()}


def _load(path: Path, stream: BinaryIO, *, mapped: bool) -> dict[str, Any]:
    """Return the arrays of a file; what cannot be mapped is read, which raises the error of a damaged file."""
    if mapped:
        with suppress(ValueError, OSError):  # no .npy file, or of another version or length
            return {"arr_0": open_mapped(path)}
    content = np.load(stream, allow_pickle=False)
    if isinstance(content, np.ndarray):
        return {"arr_0": content}
    return {name: (_member(path, stream, content, name) if mapped else content[name]) for name in content.files}


def _member(path: Path, stream: BinaryIO, content: NpzFile, name: str) -> Any:
    """Return an array of a ``.npz`` file, mapped where it is not compressed; its CRC-32 is checked all the same."""
    archive = content.zip
    assert archive is not None
    member = archive.getinfo(f"{name}.npy" if f"{name}.npy" in archive.namelist() else name)
    if member.compress_type != zipfile.ZIP_STORED:
        return content[name]
    with archive.open(member) as data:
        while data.read(_BLOCK):  # zipfile raises an error at the end where the CRC-32 is another
            pass
    stream.seek(member.header_offset + _LOCAL.size - 4)
    start = member.header_offset + _LOCAL.size + sum(struct.unpack("<2H", stream.read(4)))
    with suppress(ValueError):
        return open_mapped(path, start, start + member.file_size)
    return content[name]


def _plain(values: Any, where: str, kinds: str, *, mapped: bool) -> NDArray[Any]:
    """Return an array in this machine's byte order, or raise a `DataError` where it is not numbers.

    A mapped array stays as it is unless its byte order is another.
    """
    if not isinstance(values, np.ndarray) or values.dtype.kind not in kinds:
        kind = values.dtype if isinstance(values, np.ndarray) else "no array"
        raise DataError(f"{where} is of type {kind}, expected numbers or booleans")
    if mapped and values.dtype.isnative:
        return values
    return np.array(values, values.dtype.newbyteorder("="), order="C")
