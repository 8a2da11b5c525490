"""Reader of IDX, the file format of MNIST: a magic number, the sizes, then the data.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section on file formats. The magic
number is the bytes 0, 0, type of the data, number of dimensions; each size takes four bytes, big-endian.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from zoo.data.datafile import open_data
from zoo.errors import DataError

_UNSIGNED_BYTE = 8
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20
_AGAIN = "download it again"


def read_idx(path: Path, dims: int) -> NDArray[np.uint8]:
    """Read unsigned bytes from an IDX file, through gzip where its name ends in ``.gz``.

    Memory is allocated for the data that the file contains, not for the size that its header states.

    Args:
        path: the file.
        dims: expected number of dimensions.

    Returns:
        A writable array of that many dimensions, none of size 0.

    Raises:
        DataError: the file cannot be read, is not IDX, or is shorter or longer than its header states.
    """
    with open_data(path) as stream:
        if path.suffix != ".gz":
            return _parse(path, stream, dims)
        try:
            with gzip.GzipFile(fileobj=stream) as unzipped:
                return _parse(path, unzipped, dims)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path}: is not a valid gzip file: {error}; {_AGAIN}") from error


def _parse(path: Path, stream: BinaryIO | gzip.GzipFile, dims: int) -> NDArray[np.uint8]:
    shape = _shape(path, stream.read(4 + 4 * dims), dims)
    size = math.prod(shape)
    # Reading goes one chunk beyond the stated size, so that a file that is too long is noticed.
    data = bytearray()
    while len(data) <= size and (part := stream.read(_CHUNK)):
        data += part
    if len(data) != size:
        actual = f"only {len(data):,}" if len(data) < size else "more"
        expected = " x ".join(f"{n:,}" for n in shape)
        raise DataError(f"{path}: its header states {expected} = {size:,} bytes of data, found {actual}; {_AGAIN}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _shape(path: Path, header: bytes, dims: int) -> tuple[int, ...]:
    if not header:
        raise DataError(f"{path}: is empty, expected an IDX file; {_AGAIN}")
    magic = bytes([0, 0, _UNSIGNED_BYTE, dims])
    if header[:4] != magic:
        hint = "it is gzip, so its name must end in .gz" if header.startswith(_GZIP_MAGIC) else "replace the file"
        raise DataError(
            f"{path}: starts with the bytes {header[:4].hex(' ')}, expected {magic.hex(' ')} "
            f"(IDX, unsigned bytes, dimensions: {dims}); {hint}"
        )
    if len(header) < 4 + 4 * dims:
        raise DataError(f"{path}: ends inside its header, at {len(header)} of {4 + 4 * dims} bytes; {_AGAIN}")
    shape = tuple(int.from_bytes(header[at : at + 4], "big") for at in range(4, len(header), 4))
    if 0 in shape:
        raise DataError(f"{path}: contains no data: its header states {' x '.join(map(str, shape))}; {_AGAIN}")
    return shape
