"""Recordings beyond memory: the same data and weights as in memory, whatever files they are read from."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from tests.data.common import error_of, parts
from tests.data.recording_files import FORMS, labels, load, recordings, write_folders, write_npz, write_table
from zoo.data.arrays_file import read_arrays
from zoo.data.caching import mapped, rule, stored_table
from zoo.data.caching.rule import cache_folder, is_cached
from zoo.data.recordings import read_arrays as arrays_of_recordings


@pytest.fixture(autouse=True)
def small_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep caches in a folder of the test, read by small blocks, and give every page back."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(stored_table, "BLOCK", 200)
    monkeypatch.setattr(arrays_of_recordings, "_BLOCK", 200)
    monkeypatch.setattr(mapped, "RESIDENT", 0)


def bits(dataset: zoo.Dataset) -> list[Any]:
    """Return shape, dtype and bytes of every tensor, and whatever else a data set has besides its cache."""
    tensors = [tensor for each in parts(dataset) for tensor in (each.x, each.y, each.lengths)]
    described = [
        None if tensor is None else (tensor.shape, tensor.dtype, tensor.numpy().tobytes()) for tensor in tensors
    ]
    return [*described, dataset.signature, dataset.description, dict(dataset.repeated)]


def assert_alike(**fields: Any) -> None:
    """Compare the data set in memory with the one whose cache is made, and the one whose cache is there."""
    memory = load(cache=False, **fields)
    for _ in ("made", "there"):
        cached = load(cache=True, **fields)
        assert bits(cached) == bits(memory)
        assert Path(cached.cache).parent == cache_folder()
    assert not memory.cache
    assert len([*cache_folder().iterdir()]) == 1


@pytest.mark.parametrize("window", [{}, {"window": 4, "step": 1}])
@pytest.mark.parametrize("form", FORMS)
def test_data_of_the_cache_are_those_in_memory(form: str, window: dict[str, int], tmp_path: Path) -> None:
    assert_alike(**FORMS[form](tmp_path, recordings(20)), **window)


def with_gaps(folder: Path) -> dict[str, Any]:
    """Write a table whose rows are not in order, with a category and missing numbers."""
    fields = write_table(folder, recordings(20))
    head, *rows = Path(fields["file"]).read_text().split()
    cells = [[*row.split(","), str(number), "uvw"[number % 3]] for number, row in enumerate(rows)]
    for number, row in enumerate(cells):
        row[4] = "" if number % 5 == 2 else row[4]
    lines = [f"{head},when,kind", *(",".join(row) for row in reversed(cells))]
    Path(fields["file"]).write_text("\n".join([*lines, ""]))
    return {**fields, "inputs": ("x0", "x1", "kind"), "order": "when"}


@pytest.mark.parametrize(
    "fields",
    [
        {"missing": "mask", "window": 4},
        {"missing": "mask", "categories": ("x0", "kind"), "by": "who"},
        {"missing": "mask", "label": "kind", "label_by": "step", "inputs": ("x0", "x1")},
        {"missing": "mask", "label": None, "targets": ("x0", "when"), "label_by": "step", "inputs": ("x1",)},
        {"missing": "interpolate", "label": "kind", "label_by": "majority", "window": 3, "inputs": ("x0",)},
    ],
)
def test_gaps_categories_and_steps(fields: dict[str, Any], tmp_path: Path) -> None:
    assert_alike(**{**with_gaps(tmp_path), **fields})


def written(folder: Path, form: str) -> dict[str, Any]:
    """Write arrays of every kind: padded ones and those in the order of columns, compressed, in another byte order."""
    values = recordings(20, longest=4)
    x = np.stack([steps[:3] for steps in values])
    path = folder / ("all.npy" if form.endswith("npy") else "all.npz")
    steps = (x[..., 0] > 4).astype(int)
    if form == "whole npz":
        np.savez(path, x=x, y=labels(20), lengths=[3] * 20)
    elif form == "compressed npz":
        np.savez_compressed(path, x=x, y=labels(20))
    elif form == "columns npz":
        np.savez(path, x=np.asfortranarray(x.astype(np.float32)), y=steps, age=np.arange(20, dtype=">i4"))
        return {"file": str(path), "label_by": "step", "inputs": ("x0", "x1", "age")}
    elif form == "steps npz":
        np.savez(path, x=np.concatenate(x), lengths=[3] * 20, y=steps.reshape(-1))
        return {"file": str(path), "label_by": "step"}
    else:
        np.save(path, np.concatenate([x, steps[..., None]], 2))
        return {"file": str(path), "label": "x2", "label_by": "step", "inputs": ("x0", "x1")}
    return {"file": str(path)}


@pytest.mark.parametrize("form", ["whole npz", "compressed npz", "columns npz", "steps npz", "npy"])
def test_arrays_of_every_kind(form: str, tmp_path: Path) -> None:
    assert_alike(**written(tmp_path, form))


def test_a_folder_of_arrays_of_several_types_and_of_tables(tmp_path: Path) -> None:
    for number, (steps, label) in enumerate(zip(recordings(20), labels(20), strict=True)):
        path = tmp_path / "all" / label / f"{number:02}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, (2 * steps).astype([np.int16, np.float32, np.float64][number % 3]))
    assert_alike(folder=str(tmp_path / "all"))
    (tmp_path / "all" / "sit" / "20.csv").write_text("x0,x1\n1,2\n3,4\n")
    (tmp_path / "all" / "note.md").write_text("notes")
    fields = {"folder": str(tmp_path / "all")}
    assert bits(load(cache=True, **fields)) == bits(load(cache=False, **fields))


def test_arrays_are_mapped_and_not_read(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "x": np.arange(12.0).reshape(3, 4),
        "y": np.array(["a", "bc"]),
        "z": np.arange(3, dtype=">i2"),
    }
    np.savez(tmp_path / "all.npz", **values)
    np.save(tmp_path / "all.npy", values["x"])
    arrays = read_arrays(tmp_path / "all.npz", texts=True, mapped=True)
    assert not arrays["x"].flags.owndata
    assert {name: array.tolist() for name, array in arrays.items()} == {
        name: array.tolist() for name, array in values.items()
    }
    assert arrays["z"].dtype.isnative
    assert not read_arrays(tmp_path / "all.npy", mapped=True)["arr_0"].flags.owndata


@pytest.mark.parametrize("fault", ["cut npy", "cut npz", "flipped", "length", "objects", "no array", "text"])
def test_damaged_arrays_have_the_message_of_reading_them(fault: str, tmp_path: Path) -> None:
    path = tmp_path / ("x.npy" if fault == "cut npy" else "x.npz")
    more: dict[str, Any] = {"y": np.array([None])} if fault == "objects" else {}
    np.savez(path, x=np.arange(40.0), **more)
    if fault == "cut npy":
        np.save(path, np.arange(40.0))
    if fault.startswith("cut"):
        os.truncate(path, path.stat().st_size - 30)
    elif fault == "flipped":
        path.write_bytes(path.read_bytes().replace(np.float64(7).tobytes(), np.float64(6).tobytes()))
    elif fault == "length":
        content = io.BytesIO()
        np.save(content, np.arange(40.0))
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", content.getvalue()[:-8])
    elif fault == "no array":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x", "1")
    elif fault == "text":
        path.write_text("no array")
    expected = error_of(lambda: read_arrays(path))
    assert error_of(lambda: read_arrays(path, mapped=True)) == expected
    assert expected.startswith(str(path))


def test_faults_of_tables_have_the_message_in_memory(tmp_path: Path) -> None:
    fields = write_folders(tmp_path, recordings())
    path = tmp_path / "all" / "sit" / "001.csv"
    path.write_text(path.read_text() + "1,word\n")
    error = error_of(lambda: load(cache=True, **fields))
    assert error == error_of(lambda: load(cache=False, **fields))
    assert error.startswith(f"{path}:")
    assert not [*cache_folder().iterdir()]


def test_every_file_counts(tmp_path: Path) -> None:
    fields = FORMS["index"](tmp_path, recordings(20))
    caches = [load(cache=True, **fields).cache]
    path = Path(fields["folder"]) / "019.npy"
    np.save(path, np.load(path) + 1)
    caches.append(load(cache=True, **fields).cache)
    index = Path(fields["index"])
    index.write_text(index.read_text().replace("019.npy,sit", "019.npy,run"))
    caches.append(load(cache=True, **fields).cache)
    path.rename(path.with_name("020.npy"))
    index.write_text(index.read_text().replace("019.npy", "020.npy"))
    caches += [load(cache=True, **fields).cache, load(cache=True, window=3, **fields).cache]
    assert len(set(caches)) == 5
    assert load(cache=True, **fields).cache == caches[3]
    assert bits(load(cache=True, **fields)) == bits(load(cache=False, **fields))


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    fields = write_npz(tmp_path, recordings(20))
    file = Path(load(cache=True, **fields).cache) / "validation-x.npy"
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    assert bits(load(cache=True, **fields)) == bits(load(cache=False, **fields))
    assert file.read_bytes() != data


def test_files_that_do_not_fit_are_cached_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = write_folders(tmp_path, recordings(20))
    files = [*Path(fields["folder"]).rglob("*.csv")]
    size = sum(path.stat().st_size for path in files)
    assert not load(**fields).cache
    monkeypatch.setattr(rule, "machine_memory", lambda: 15 * size)
    assert load(**fields).cache
    assert not load(cache=False, **fields).cache
    monkeypatch.setattr(rule, "machine_memory", lambda: 17 * size)
    assert not is_cached("auto", *files)
    np.savez_compressed(tmp_path / "x.npz", x=np.zeros(10_000))
    monkeypatch.setattr(rule, "machine_memory", lambda: 900_000)
    assert is_cached("auto", tmp_path / "x.npz")
    monkeypatch.setattr(rule, "machine_memory", lambda: 1_000_000)
    assert not is_cached("auto", tmp_path / "x.npz")


@pytest.mark.parametrize("window", [None, 4])
def test_the_weights_are_the_same_to_the_last_bit(window: int | None, tmp_path: Path) -> None:
    fields = {**with_gaps(tmp_path), "missing": "mask", "window": window}
    weights = {}
    for cache in (False, True):
        spec = {
            "name": "x",
            "architecture": {"name": "gru", "hidden_size": 4},
            "task": {"name": "classification"},
            "data": {"name": "recordings", **fields, "cache": cache},
            "training": {"epochs": 2, "batch_size": 4},
        }
        run = zoo.build(spec, out=tmp_path / f"run-{cache}", device="cpu")
        weights[cache] = (run.path / "model.safetensors").read_bytes()
    assert weights[True] == weights[False]


def test_rows_in_another_order_keep_their_lines(tmp_path: Path) -> None:
    """A message about a row of an unordered table names the line of the file."""
    fields = with_gaps(tmp_path)
    error = error_of(lambda: load(cache=True, **fields))
    assert error == error_of(lambda: load(cache=False, **fields))
    row = int(error.split(":")[1])
    assert Path(fields["file"]).read_text().split()[row - 1].split(",")[4] == ""
