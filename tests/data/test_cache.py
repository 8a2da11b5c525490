"""The cache for data beyond memory: the same data and weights as in memory, and nothing damaged is taken for whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import zoo
from tests.data.common import parts
from zoo.data.caching import mapped, rule, stored_table
from zoo.data.caching.cache import Cache, Contents
from zoo.data.caching.rule import cache_folder, is_cached
from zoo.data.caching.stored_table import stored_table as store
from zoo.data.sources.series import Series
from zoo.data.tables.dialect import Dialect
from zoo.progress import reporting_to

ROWS = 240


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep caches in a folder of the test, and read text files by small blocks."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(stored_table, "BLOCK", 700)
    return cache_folder()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two series of numbers with a text that has line breaks and commas in quoted cells."""
    draw = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "date": [str(np.datetime64("2020-01-01") + row // 2) for row in range(ROWS)],
            "group": ["north", "south"] * (ROWS // 2),
            "a": draw.normal(size=ROWS) * 1000,
            "b": draw.normal(size=ROWS),
            "kind": ["x,\ny", "z", "w"] * (ROWS // 3),
        }
    )
    frame.write_csv(tmp_path / "x.csv")
    frame.write_parquet(tmp_path / "x.parquet")
    return tmp_path / "x.csv"


def load(path: Path, *, cache: Any = True, **fields: Any) -> zoo.Dataset:
    options = {"targets": ("b",), "window": 6, "horizon": 2, "group": "group", **fields}
    return Series().load(Series.Config(file=str(path), cache=cache, **options))


def bits(dataset: zoo.Dataset) -> list[bytes]:
    tensors = [part for each in parts(dataset) for part in (each.x, each.y, each.naive, each.seasonal)]
    return [b"" if tensor is None else tensor.numpy().tobytes() for tensor in tensors]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": ("a", "b", "kind")},
        {"per": "group", "season": 3},
        {"known": ("a",), "input_scaling": "min_max"},
        {"group": None, "date": ""},
    ],
)
def test_data_of_the_cache_are_those_in_memory(table: Path, suffix: str, fields: dict[str, Any]) -> None:
    path = table.with_suffix(suffix)
    memory = load(path, cache=False, **fields)
    for _ in ("made", "found"):
        cached = load(path, **fields)
        assert bits(cached) == bits(memory)
        assert (cached.signature, cached.description) == (memory.signature, memory.description)
        assert Path(cached.cache).parent == cache_folder()
    assert not memory.cache
    assert len([*cache_folder().iterdir()]) == 1


def test_gaps_are_filled_as_in_memory(table: Path) -> None:
    lines = table.read_text().split("\n")
    table.write_text("\n".join(line.replace("0.", "", 1) and line for line in lines))
    frame = pl.read_csv(table)
    frame.with_columns(pl.when(pl.int_range(pl.len()) % 7 == 3).then(None).otherwise(pl.col("a")).alias("a")).write_csv(
        table
    )
    for missing in ("previous", "interpolate", "mask"):
        fields = {"missing": missing, "horizon": 1, "group": None, "date": ""}
        assert bits(load(table, **fields)) == bits(load(table, cache=False, **fields))


def test_windows_of_a_series_are_views_of_the_file(table: Path) -> None:
    dataset = load(table, group=None, date="")
    starts = [part.x.untyped_storage().data_ptr() for part in parts(dataset)]
    assert len(set(starts)) == 1
    assert dataset.train.x.stride()[0] == dataset.train.x.stride()[1] == dataset.signature.features


def test_the_weights_are_the_same_to_the_last_bit(table: Path, tmp_path: Path) -> None:
    weights = {}
    for cache in (False, True):
        data = {
            "name": "series",
            "file": str(table),
            "targets": ["b"],
            "group": "group",
            "window": 6,
            "cache": cache,
        }
        spec = {
            "name": "x",
            "architecture": {"name": "gru", "hidden_size": 4},
            "task": {"name": "forecasting"},
            "data": data,
            "training": {"epochs": 2, "batch_size": 16},
        }
        run = zoo.build(spec, out=tmp_path / f"run-{cache}", device="cpu")
        weights[cache] = (run.path / "model.safetensors").read_bytes()
    assert weights[True] == weights[False]


def test_files_that_do_not_fit_are_cached_by_themselves(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not load(table, cache="auto").cache
    size = table.stat().st_size
    monkeypatch.setattr(rule, "machine_memory", lambda: 15 * size)
    assert is_cached("auto", table)
    assert load(table, cache="auto").cache
    assert not load(table, cache=False).cache
    monkeypatch.setattr(rule, "machine_memory", lambda: 17 * size)
    assert not is_cached("auto", table)


def test_pages_are_given_back(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = bits(load(table, cache=False))
    monkeypatch.setattr(mapped, "RESIDENT", 0)
    cached = load(table)
    mapped.trim()
    assert bits(cached) == memory
    cached.train.x.add_(1)  # stays in this process
    assert bits(load(table)) == memory


def contents(dataset: zoo.Dataset) -> Contents | None:
    path = Path(dataset.cache)
    return Cache(path.parent, path.name).read()


@pytest.mark.parametrize("fault", ["cut", "flipped", "missing", "index", "unlisted"])
def test_a_damaged_cache_is_made_again(table: Path, fault: str) -> None:
    memory, first = bits(load(table, cache=False)), load(table)
    folder = Path(first.cache)
    assert contents(first) is not None
    file = folder / "x.npy"
    if fault == "cut":
        os.truncate(file, file.stat().st_size - 8)
    elif fault == "flipped":
        data = bytearray(file.read_bytes())
        data[-5] ^= 1
        file.write_bytes(data)
    elif fault == "missing":
        file.unlink()
    elif fault == "index":
        (folder / "index.json").write_text("{")
    else:
        (folder / "index.json").unlink()
    assert contents(first) is None
    assert bits(load(table)) == memory


def test_what_was_changed_is_made_again(table: Path) -> None:
    first = load(table)
    times = table.stat()
    table.write_text(table.read_text().replace("north", "nosth"))
    os.utime(table, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert table.stat().st_size == times.st_size
    folders = {first.cache, load(table).cache, load(table, window=7).cache}
    assert len(folders) == 3


def test_a_killed_writer_leaves_nothing_that_is_taken_for_whole(table: Path, folder: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; import numpy; from zoo.data.caching.cache import Cache\n"
        "with Cache(Path(sys.argv[1]), 'key').making() as space:\n"
        "    space.empty((4, 2), name='x')[:] = 1\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, str(folder)], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert process.returncode == -signal.SIGKILL
    assert len([*folder.iterdir()]) == 1
    assert Cache(folder, "key").read() is None
    load(table)
    assert len([*folder.iterdir()]) == 1  # what the killed writer left is gone


def test_a_failed_preparation_leaves_nothing(table: Path, folder: Path) -> None:
    table.write_text(table.read_text() + "2030-01-01,north,word,1,z\n")
    line = table.read_text().count("\n")
    with pytest.raises(zoo.DataError) as caught:
        load(table)
    with pytest.raises(zoo.DataError) as expected:
        load(table, cache=False)
    assert str(caught.value) == str(expected.value)
    assert f"{table}:{line}:3" in str(caught.value)
    assert not [*folder.iterdir()]


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2\n\n3,4\n",
        "a,b\n1,2\n3\n",
        "a,b\n1,2,3\n4,5\n",
        "",
        "a,b\n",
        "1,2\n3,4\n",
        'a,b\n1,"2\n',
        "a,b\n1,\xff\n",
    ],
)
@pytest.mark.parametrize("before", [0, 300])
def test_faults_have_the_message_of_a_table_in_memory(tmp_path: Path, content: str, before: int) -> None:
    path = tmp_path / "x.csv"
    head, _, rest = content.partition("\n")
    path.write_bytes((head + "\n" * ("\n" in content) + "1,2\n" * before * bool(rest) + rest).encode("latin-1"))
    errors = []
    for read in (zoo.read_table, lambda file: store(file, Dialect(), tmp_path)):
        with pytest.raises(zoo.DataError) as caught:
            read(path)
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


@pytest.mark.parametrize("end", ["", "\n", "\n\n\n", "\r\n\r\n"])
def test_ends_of_files(tmp_path: Path, end: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(("a;b\n" + "\n".join(f"{row},5;{row}" for row in range(300)) + end).encode())
    table, whole = store(path, Dialect(), tmp_path), zoo.read_table(path)
    assert table.summary == whole.summary
    assert table.place(299, "b") == whole.place(299, "b")
    for name in whole.names:
        assert table.kind(name) == whole.kind(name)
        np.testing.assert_array_equal(table.numbers(name), whole.numbers(name))
    np.testing.assert_array_equal(table.take(np.array([7, 299])).numbers("a"), [7.5, 299.5])


@pytest.mark.parametrize(("cell", "apart"), [("5", False), ('"5\n6"', True)])
def test_lines_that_follow_each_other_take_no_memory(tmp_path: Path, cell: str, apart: bool) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "".join(f"{row},{cell if row in (150, 299) else 5}\n" for row in range(300)))
    table, whole = store(path, Dialect(), tmp_path), zoo.read_table(path)
    assert isinstance(table._origin.lines, range) != apart
    rows = np.array([299, 0, 151, 150])
    for chosen, count in ((table, range(300)), (table.take(rows), range(4))):
        expected = whole if chosen is table else whole.take(rows)
        assert [chosen.place(row) for row in count] == [expected.place(row) for row in count]


@pytest.mark.parametrize(
    ("name", "encoding", "message"),
    [("x.jsonl", None, "write it in one of these"), ("x.csv", "cp1252", "write it again in UTF-8")],
)
def test_what_the_cache_does_not_read(tmp_path: Path, name: str, encoding: str | None, message: str) -> None:
    (tmp_path / name).write_text("a,b\n1,2\n")
    with pytest.raises(zoo.DataError, match=message):
        store(tmp_path / name, Dialect(encoding=encoding), tmp_path)


def test_progress_is_reported(table: Path) -> None:
    steps: list[tuple[str, float | None]] = []
    with reporting_to(lambda text, share=None, /: steps.append((text, share))):
        load(table)
    for work in ("hash", "reading", "features", "check"):
        shares = [share for text, share in steps if text.startswith(work)]
        assert shares
        assert all(share is not None and 0 <= share <= 1 for share in shares)


def test_a_full_disk_is_one_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(zoo.RunError, match="free some space"), Cache(folder, "key").making() as space:
        space.empty((4, 2), name="x")
    assert not [*folder.iterdir()]
