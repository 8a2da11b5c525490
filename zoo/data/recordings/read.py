"""Recordings from a file or folder of any kind."""

from __future__ import annotations

from pathlib import Path

from zoo.data.caching.space import MEMORY, Space
from zoo.data.datafile import name_fault
from zoo.data.recordings.form import Reading
from zoo.data.recordings.read_arrays import read_npy, read_npz, read_ts_files
from zoo.data.recordings.read_tables import read_folder, read_recordings_table
from zoo.data.recordings.recordings import Recordings
from zoo.errors import DataError

ARRAYS = (".npz", ".npy", ".ts")
"""Endings of files that separate their recordings themselves."""


def read_recordings(
    path: Path, reading: Reading, index: Path | None = None, test: Path | None = None, space: Space = MEMORY
) -> Recordings:
    """Read recordings by what a path names: a folder, arrays, a ``.ts`` file, or a table.

    Args:
        path: the file or folder.
        reading: how tables become recordings.
        index: a table with a row for each recording.
        test: the second file of an archive of ``.ts`` files.
        space: where the columns are made; with a folder, tables and arrays need not fit into memory.

    Raises:
        DataError: the files cannot be read as recordings.
    """
    if fault := name_fault(path):
        raise DataError(fault)
    ending = path.suffix.lower()
    if test is not None and ending != ".ts":
        raise DataError(f"data.test_file: is given with {path}, and only archives of .ts files have one; use data.part")
    if path.is_dir():
        return read_folder(path, reading, index, space)
    if ending in ARRAYS and index is not None:
        raise DataError(f"data.index: is given with {path}, which has columns of its own; leave it out")
    if ending == ".npz":
        return read_npz(path, reading.sequence, space)
    if ending == ".npy":
        return read_npy(path, space)
    if ending == ".ts":
        return read_ts_files(path, test)
    return read_recordings_table(path, reading, index, space)
