"""IDX, the file format of MNIST and its kin: a magic number, the sizes, then the bytes.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", section on file formats. All numbers
of the header are four bytes, big-endian. The magic number is 0, 0, the type of the data, the number of dimensions.
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


def read_idx(path: Path, dims: int) -> NDArray[np.uint8]:
    """Read unsigned bytes from an IDX file, through gzip where its name ends in ``.gz``.

    Memory: the bytes once. Nothing is allocated on the word of the header.

    Args:
        dims: how many dimensions the file must have.

    Returns:
        A writable array of that many dimensions, none of them 0.

    Raises:
        DataError: the file cannot be read, is not such a file, or is shorter or longer than its header says.
    """
    with open_data(path) as stream:
        if path.suffix != ".gz":
            return _parse(path, stream, dims)
        try:
            with gzip.GzipFile(fileobj=stream) as unzipped:
                return _parse(path, unzipped, dims)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path}: is not a sound gzip file: {error}; get it again") from error


def _parse(path: Path, stream: BinaryIO | gzip.GzipFile, dims: int) -> NDArray[np.uint8]:
    shape = _shape(path, stream.read(4 + 4 * dims), dims)
    size = math.prod(shape)
    # Grows with what is really there; the one read beyond the size tells a file that goes on from one that ends.
    data = bytearray()
    while len(data) <= size and (part := stream.read(_CHUNK)):
        data += part
    if len(data) != size:
        found = f"only {len(data):,}" if len(data) < size else "more"
        promised = " x ".join(f"{n:,}" for n in shape)
        raise DataError(f"{path}: its header promises {promised} = {size:,} bytes of data, found {found}; get it again")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _shape(path: Path, header: bytes, dims: int) -> tuple[int, ...]:
    if not header:
        raise DataError(f"{path}: is empty, expected an IDX file")
    magic = bytes([0, 0, _UNSIGNED_BYTE, dims])
    if header[:4] != magic:
        hint = "; it is gzip, so its name must end in .gz" if header.startswith(_GZIP_MAGIC) else ""
        raise DataError(
            f"{path}: starts with the bytes {header[:4].hex(' ')}, expected {magic.hex(' ')} "
            f"(IDX, unsigned bytes, dimensions: {dims}){hint}"
        )
    if len(header) < 4 + 4 * dims:
        raise DataError(f"{path}: ends inside its header, at {len(header)} of {4 + 4 * dims} bytes; get it again")
    shape = tuple(int.from_bytes(header[at : at + 4], "big") for at in range(4, len(header), 4))
    if 0 in shape:
        raise DataError(f"{path}: holds no data: its header says {' x '.join(map(str, shape))}")
    return shape
