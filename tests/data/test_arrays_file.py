"""Arrays of an example file: names, dtypes, and files that are none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.data.arrays_file import read_arrays
from zoo.errors import DataError


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "int32", "uint8", "bool", ">f4", ">i8"])
def test_values_and_dtypes_stay(dtype: str, tmp_path: Path) -> None:
    values = np.arange(6).reshape(2, 3).astype(dtype)
    np.savez(tmp_path / "e.npz", x=values, lengths=np.array(7))
    read = read_arrays(tmp_path / "e.npz")
    assert list(read) == ["x", "lengths"]
    assert read["x"].dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(read["x"], values)
    assert read["lengths"].shape == ()


def test_a_transposed_array_becomes_contiguous(tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", np.arange(6.0).reshape(2, 3).T)
    (values,) = read_arrays(tmp_path / "e.npy").values()
    assert values.flags.c_contiguous
    np.testing.assert_array_equal(values, np.arange(6.0).reshape(2, 3).T)


def test_arrays_without_names(tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", np.zeros(3))
    np.savez(tmp_path / "e.npz", np.zeros(3), np.ones(2))
    assert list(read_arrays(tmp_path / "e.npy")) == ["arr_0"]
    assert list(read_arrays(tmp_path / "e.npz")) == ["arr_0", "arr_1"]


class Harmful:
    """An object whose unpickling leaves a trace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", [".npy", ".npz"])
def test_pickled_objects_are_not_loaded(kind: str, tmp_path: Path) -> None:
    path, trace = tmp_path / f"e{kind}", tmp_path / "trace"
    values = np.array([Harmful(trace)], object)
    if kind == ".npy":
        np.save(path, values, allow_pickle=True)
    else:
        np.savez(path, x=values)
    with pytest.raises(DataError, match=rf"^{re.escape(str(path))}: cannot be read as arrays: .*numpy\.savez$"):
        read_arrays(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "cannot be read as arrays"),
        (b"x,y\n1,2\n", "cannot be read as arrays"),
        (b"\x93NUMPY\x01\x00\x10\x00nonsense", "cannot be read as arrays"),
        (b"PK\x05\x06" + bytes(18), "contains no array"),  # an empty zip file
        (b"PK\x03\x04 damaged", "cannot be read as arrays"),
    ],
)
def test_other_files(content: bytes, text: str, tmp_path: Path) -> None:
    (tmp_path / "e.npz").write_bytes(content)
    with pytest.raises(DataError, match=text) as caught:
        read_arrays(tmp_path / "e.npz")
    assert "\n" not in str(caught.value)


def test_a_truncated_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", x=np.zeros(1000))
    content = (tmp_path / "e.npz").read_bytes()
    (tmp_path / "e.npz").write_bytes(content[:500])
    with pytest.raises(DataError, match="cannot be read as arrays"):
        read_arrays(tmp_path / "e.npz")


@pytest.mark.parametrize("values", [np.array(["a"]), np.array(["2020-01-01"], "M8[D]"), np.zeros(2, "f4,i4")])
def test_arrays_without_numbers(values: NDArray[Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", x=values)
    with pytest.raises(DataError, match=r"e\.npz: x is of type .*, expected numbers or booleans$"):
        read_arrays(tmp_path / "e.npz")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no such file"):
        read_arrays(tmp_path / "e.npz")
