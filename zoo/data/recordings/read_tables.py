"""Recordings from tables: one table of many recordings, or a folder with a file for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, ValuesView
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.caching.mapped import trim
from zoo.data.caching.space import MEMORY, Space
from zoo.data.caching.stored_table import stored_table
from zoo.data.datafile import name_fault
from zoo.data.recordings.columns import ArrayColumns, Columns, SelectedColumns, StackedColumns, StoredColumns
from zoo.data.recordings.form import Reading
from zoo.data.recordings.read_arrays import read_npy
from zoo.data.recordings.recordings import Recordings, counted
from zoo.data.tables.date_column import DATE_NAMES
from zoo.data.tables.read import SUFFIXES, read_table
from zoo.data.tables.table import Table
from zoo.errors import DataError

ENDINGS = (*(ending for ending in SUFFIXES if ending != ".txt"), ".npy")
"""Endings of the files of a folder that are recordings; text files beside them are notes more often than tables."""
FILE, FOLDER = "file", "folder"
"""Columns of a folder: the path of a file in it, and the name of the folder that the file is in."""


def read_recordings_table(path: Path, reading: Reading, index: Path | None = None, space: Space = MEMORY) -> Recordings:
    """Read a table with the rows of one or many recordings.

    Args:
        path: the table.
        reading: names the column of the recordings; without one the table is a single recording.
        index: a table with a row for each recording, by the column of the same name; its columns become those of whole
            recordings.
        space: where the columns are made; with a folder, a few columns at a time are in memory.

    Raises:
        DataError: a table cannot be read, rows of a recording are apart or in the wrong order, or a recording of the
            index does not exist.
    """
    if space.folder is None:
        recordings = table_recordings(read_table(path, reading.dialect), reading)
    else:
        recordings = table_recordings(stored_table(path, reading.dialect, space.scratch), reading)
        recordings = replace(recordings, steps=StoredColumns(recordings.steps, space))
    return recordings if index is None else _with_index(recordings, index, reading)


def table_recordings(table: Table, reading: Reading) -> Recordings:
    """Return the recordings of a table; see `read_recordings_table`."""
    if not reading.sequence:
        rows, roles = _ordered(table, np.zeros(len(table), np.int64), reading)
        offsets, name = np.array([0, len(table)]), Path(table.source).name
        return Recordings(table.source, (name,), offsets, _taken(table, rows), roles=roles, summary=_summary([table]))
    table.require(reading.sequence, "sequence")
    names = table.texts(reading.sequence)
    if None in names:
        place = table.place(names.index(None), reading.sequence)
        raise DataError(f"{place}: {reading.sequence!r} is missing; give the name of the recording of this row")
    ids = list(dict.fromkeys(map(str, names)))
    numbers = {name: number for number, name in enumerate(ids)}
    owners = np.array([numbers[str(name)] for name in names])
    rows, roles = _ordered(table, owners, reading)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owners))])
    return Recordings(
        table.source,
        tuple(ids),
        offsets,
        _taken(table, rows),
        roles=roles | {reading.sequence},
        summary=_summary([table]),
    )


def _taken(table: Table, rows: NDArray[np.int64]) -> Columns:
    """Return all rows of a table in an order; nothing is copied."""
    return table if (rows[1:] > rows[:-1]).all() else SelectedColumns(table, rows)


def read_folder(folder: Path, reading: Reading, index: Path | None = None, space: Space = MEMORY) -> Recordings:
    """Read a folder in which each file is a recording, in any depth: a table of any format, or a .npy file.

    Args:
        folder: the folder.
        reading: how its tables are written, and the column of the index with the paths of the files in the folder.
        index: a table with a row for each file; None to take all files.
        space: where the columns are made; with a folder, a single file is in memory while the files are read.

    Raises:
        DataError: the folder has no such files, one cannot be read or has other columns than the first, or a file of
            the index does not exist.
    """
    files = recording_files(folder, folder / reading.index if index is None and reading.index else index)
    names = [path.relative_to(folder).as_posix() for path in files.paths]
    tables = [_read_apart(path, reading, space, number) for number, path in enumerate(files.paths)]
    first = tables[0]
    for table in tables[1:]:
        _require_same(table.steps, first.steps)
    starts = np.cumsum([0, *(int(table.offsets[-1]) for table in tables)])
    places = [Path(name) for name in names]
    whole = ArrayColumns(
        str(folder),
        {FILE: np.array(names), FOLDER: np.array([path.parent.name for path in places])},
        lambda row, _: str(files.paths[row]),
    )
    recordings = Recordings(
        str(folder),
        tuple(names),
        starts,
        _stacked(str(folder), [table.steps for table in tables], starts, space),
        whole,
        roles=first.roles,
        summary=(f"{folder.name}: {counted(names, 'file')}{_dialects(tables)}", *files.left_out),
    )
    return recordings if index is None else _with_index(recordings, index, reading)


def _stacked(source: str, files: Sequence[Columns], starts: NDArray[np.int64], space: Space) -> Columns:
    """Return the columns of all files one below the other; ``starts`` are the first rows of each."""
    names = files[0].names
    arrays = [columns.arrays for columns in files if isinstance(columns, ArrayColumns)]
    if len(arrays) < len(files):
        stacked = StackedColumns(source, files, names)
        return stacked if space.folder is None else StoredColumns(stacked, space)

    def where(row: int, name: str | None) -> str:
        file = int(np.searchsorted(starts, row, side="right")) - 1
        return files[file].place(row - int(starts[file]), name)

    dtype = np.result_type(*(each.dtype if isinstance(each, ReadAgain) else each[names[0]].dtype for each in arrays))
    values = space.empty((int(starts[-1]), len(names)), dtype, "F")
    for start, stop, each in zip(starts, starts[1:], arrays, strict=False):
        for number, column in enumerate(each.values()):
            values[start:stop, number] = column
        trim()
    return ArrayColumns(source, {name: values[:, number] for number, name in enumerate(names)}, where)


class ReadAgain(Mapping[str, NDArray[Any]]):
    """The columns of a ``.npy`` file, which is read whenever they are used; none is kept in memory."""

    def __init__(self, path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
        self.path, self.names = path, tuple(columns)
        self.dtype = columns[self.names[0]].dtype

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def values(self) -> ValuesView[NDArray[Any]]:
        return self._columns().values()

    def _columns(self) -> Mapping[str, NDArray[Any]]:
        steps = read_npy(self.path).steps
        assert isinstance(steps, ArrayColumns)
        return steps.arrays


def _read_apart(path: Path, reading: Reading, space: Space, number: int) -> Recordings:
    """Return a file of a folder, by its number, as one recording, of which a space with a folder keeps nothing."""
    if space.folder is None:
        return read_file(path, reading)
    if path.suffix.lower() != ".npy":
        own = space.scratch / f"file-{number}"
        own.mkdir()
        return table_recordings(stored_table(path, reading.dialect, own), replace(reading, sequence=""))
    recordings = read_file(path, reading)
    steps = recordings.steps
    assert isinstance(steps, ArrayColumns)
    return replace(recordings, steps=ArrayColumns(steps.source, ReadAgain(path, steps.arrays), steps.where))


def read_file(path: Path, reading: Reading) -> Recordings:
    """Read a file of a folder as one recording."""
    if path.suffix.lower() != ".npy":
        return read_recordings_table(path, replace(reading, sequence=""))
    recordings = read_npy(path)
    if len(recordings) > 1:
        raise DataError(f"{path}: contains {len(recordings):,} recordings, expected one (time, features) in each file")
    return recordings


class Files:
    """The files of a folder."""

    def __init__(self, paths: Sequence[Path], left_out: Sequence[str]) -> None:
        self.paths = paths
        """The files that can be recordings, sorted."""
        self.left_out = left_out
        """The others, in sentences."""


def recording_files(folder: Path, index: Path | None = None) -> Files:
    """Return the files of a folder in any depth whose names have the ending of a recording.

    Args:
        folder: the folder.
        index: a table that is no recording, though it may lie in the folder.

    Raises:
        DataError: the folder cannot be read or has no such file.
    """
    if fault := name_fault(folder):
        raise DataError(fault)
    try:
        if not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder; correct the path")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}") from error
    inside = [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    taken = [path for path in inside if _ending(path) in ENDINGS and not _same(path, index)]
    if not taken:
        raise DataError(f"{folder}: contains no recordings, expected files of {', '.join(ENDINGS)}")
    others = [path.name for path in inside if path not in set(taken) and not _same(path, index)]
    left_out = [f"{counted(others, 'file')} of other formats left out, such as {others[0]}"] if others else []
    return Files(taken, left_out)


def _ending(path: Path) -> str:
    """Return the ending of a file's name, in lower case and without .gz."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _same(path: Path, index: Path | None) -> bool:
    return index is not None and index.exists() and path.samefile(index)


def _dialects(tables: Sequence[Recordings]) -> str:
    """Return how the tables were understood, the most frequent way first; empty for arrays."""
    counts = Counter(sentence.partition(": ")[2].partition(";")[0] for table in tables for sentence in table.summary)
    numbers = len(counts) > 1
    return "".join(f", {f'{count:,} of them ' * numbers}{text}" for text, count in counts.most_common(3) if text)


def _summary(tables: Sequence[Table]) -> tuple[str, ...]:
    return tuple(f"{Path(table.source).name}: {table.summary}" for table in tables)


def _require_same(columns: Columns, first: Columns) -> None:
    """Raise a `DataError` unless two files have columns of the same names."""
    lacking = [name for name in first.names if name not in columns.names]
    more = [name for name in columns.names if name not in first.names]
    if lacking:
        raise DataError(f"{columns.source}: has no column {lacking[0]!r}, which {first.source} has; use one form")
    if more:
        raise DataError(f"{columns.source}: has the column {more[0]!r}, which {first.source} lacks; use one form")


def _ordered(table: Table, owners: NDArray[np.int64], reading: Reading) -> tuple[NDArray[np.int64], frozenset[str]]:
    """Return the rows of a table, those of a recording together and in order, and the columns that order them."""
    times = [name for name in table.names if name.lower() in DATE_NAMES and name not in reading.features]
    if reading.order:
        table.require(reading.order, "order")
        rows = np.lexsort((_moments(table, reading.order, reading), owners))
        return rows, frozenset([*times, reading.order])
    if len(times) > 1:
        raise DataError(
            f"{table.source}: has the columns {' and '.join(map(repr, times))}; name one of them in data.order"
        )
    rows = np.argsort(owners, kind="stable")
    if times:
        moments = _moments(table, times[0], reading)[rows]
        same = owners[rows][1:] == owners[rows][:-1]
        if (early := (moments[1:] < moments[:-1]) & same).any():
            row = int(rows[int(np.argmax(early)) + 1])
            raise DataError(
                f"{table.place(row, times[0])}: {times[0]!r} is earlier than in the row before it of the same "
                f"recording; sort the rows, or set data.order to {times[0]!r}, by which they are then sorted"
            )
    elif (apart := (np.diff(owners) != 0) & (owners[1:] < np.maximum.accumulate(owners)[:-1])).any():
        row = int(np.argmax(apart)) + 1
        name = table.texts(reading.sequence)[row]
        raise DataError(
            f"{table.place(row, reading.sequence)}: the recording {name!r} goes on after rows of another; sort the "
            f"rows by {reading.sequence!r}, rename the second one, or name the column of the time in data.order"
        )
    return rows, frozenset(times)


def _moments(table: Table, name: str, reading: Reading) -> NDArray[np.float64] | NDArray[np.int64]:
    """Return a column as numbers that increase with time; a `DataError` names a missing cell."""
    if table.kind(name) != "number":
        try:
            return table.dates(name, reading.dates).astype(np.int64)
        except DataError as error:
            raise DataError(f"{error}; where {name!r} is a feature, name it in data.inputs") from None
    numbers = table.numbers(name)
    if np.isnan(numbers).any():
        place = table.place(int(np.argmax(np.isnan(numbers))), name)
        raise DataError(f"{place}: {name!r} is missing, and the order of the rows depends on it; fill it in")
    return numbers


def _with_index(recordings: Recordings, path: Path, reading: Reading) -> Recordings:
    """Return the recordings that an index lists, with its columns as those of whole recordings."""
    key = reading.key
    index = read_table(path, reading.dialect)
    index.require(key, "sequence")
    numbers = {name: number for number, name in enumerate(recordings.ids)}
    rows: dict[int, int] = {}
    for row, name in enumerate(index.texts(key)):
        place = index.place(row, key)
        if name not in numbers:
            what = "missing" if name is None else f"{name!r}, and {recordings.source} has no such recording"
            raise DataError(f"{place}: {key!r} is {what}; correct the path or the name, or remove the row")
        if numbers[name] in rows:
            raise DataError(f"{place}: lists {name!r} again; remove one of the rows")
        rows[numbers[name]] = row
    kept = np.array(sorted(rows))
    left_out = [name for number, name in enumerate(recordings.ids) if number not in rows]
    notes = [f"{counted(left_out, 'recording')} left out that {path.name} does not list" for _ in left_out[:1]]
    return replace(
        recordings.take(kept),
        whole=index.take(np.array([rows[number] for number in kept])),
        summary=(*recordings.summary, f"{path.name}: {len(index):,} rows", *notes),
    )
