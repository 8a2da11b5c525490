"""Readers of sequences: valid files give their numbers unchanged. Bad files: test_bad_data.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from tests.data.common import rewrites_files
from zoo.data.sequences import read_sequences

finite32 = npst.from_dtype(np.dtype(np.float32), allow_nan=False, allow_infinity=False)
sequence = npst.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=finite32)


def write_csv(path: Path, rows: NDArray[Any], before: str = "", *, newline: str = "\n") -> None:
    lines = [",".join(map(str, row)) for row in rows.tolist()]
    path.write_bytes((before + newline.join(lines) + newline).encode())


@rewrites_files
@given(values=npst.arrays(np.float32, npst.array_shapes(min_dims=2, max_dims=3, max_side=5), elements=finite32))
def test_npy_round_trip(tmp_path: Path, values: NDArray[np.float32]) -> None:
    np.save(tmp_path / "x.npy", values)
    got = read_sequences(tmp_path / "x.npy", values.shape[-1])
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, values if values.ndim == 3 else values[None], strict=True)


@rewrites_files
@given(values=sequence, newline=st.sampled_from(["\n", "\r\n"]), header=st.booleans(), bom=st.booleans())
def test_csv_round_trip(tmp_path: Path, values: NDArray[np.float32], newline: str, header: bool, bom: bool) -> None:
    names = ",".join(f"feature {n}" for n in range(values.shape[1])) + newline
    write_csv(tmp_path / "x.csv", values, ("\ufeff" if bom else "") + (names if header else ""), newline=newline)
    got = read_sequences(tmp_path / "x.csv", values.shape[1])
    np.testing.assert_array_equal(got, values[None], strict=True)


@pytest.mark.parametrize("dtype", ["i1", "u1", "<i2", ">i4", "<u8", "<f2", ">f4", "<f8", "longdouble"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_any_real_dtype_byte_order_and_memory_order(tmp_path: Path, dtype: str, order: Any) -> None:
    values = np.array([[[0, 1, 1], [1, 0, 1]], [[1, 1, 0], [0, 0, 1]]])
    np.save(tmp_path / "x.npy", np.asarray(values, dtype, order=order))
    got = read_sequences(tmp_path / "x.npy", 3)
    np.testing.assert_array_equal(got, values.astype(np.float32), strict=True)
    assert got.flags.c_contiguous


def test_npy_format_version_2(tmp_path: Path) -> None:
    with (tmp_path / "x.npy").open("wb") as stream:
        np.lib.format.write_array(stream, np.ones((2, 3)), version=(2, 0))
    assert read_sequences(tmp_path / "x.npy", 3).shape == (1, 2, 3)


def test_values_are_rounded_to_the_nearest_float32(tmp_path: Path) -> None:
    # The largest number that rounds to a finite float32 lies just below (2 - 2^-24) * 2^127 (IEEE 754).
    edge = np.nextafter((2 - 2.0**-24) * 2.0**127, 0)
    values = np.array([[0.1, edge, -edge, 1e-50]])
    np.save(tmp_path / "x.npy", values)
    write_csv(tmp_path / "x.csv", values)
    largest = np.finfo(np.float32).max
    for name in ("x.npy", "x.csv"):
        assert read_sequences(tmp_path / name, 4).tolist() == [[[float(np.float32(0.1)), largest, -largest, 0.0]]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2\n3,4", [[1, 2], [3, 4]]),
        ("1,2\n3,4\n\n\n", [[1, 2], [3, 4]]),
        (" 1 ,+2e0\n-3.,.4\n", [[1, 2], [-3, 0.4]]),
        ('"1","2"\n', [[1, 2]]),
        ('open,"close, adjusted"\n1,2\n', [[1, 2]]),
        ('"a\nb",Größe\n1,2\n', [[1, 2]]),
        ("a;b\n1,5;2\n-3;4,25\n", [[1.5, 2], [-3, 4.25]]),
        ("a\tb\n1\t2\n", [[1, 2]]),
    ],
    ids=[
        "no end of line",
        "empty lines at the end",
        "spaces and signs",
        "quotes",
        "quoted header",
        "header of 2 lines",
        "semicolons and decimal commas",
        "tabs",
    ],
)
def test_csv_in_its_usual_variants(tmp_path: Path, text: str, expected: list[list[float]]) -> None:
    (tmp_path / "x.CSV").write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(read_sequences(tmp_path / "x.CSV", 2), np.array([expected], np.float32), strict=True)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_csv_in_an_encoding_with_a_mark(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "x.csv").write_text("größe,b\n1,2\n", encoding=encoding)
    assert read_sequences(tmp_path / "x.csv", 2).tolist() == [[[1, 2]]]


def test_a_table_of_another_format(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1, 3], "b": [2.5, 4]}).write_parquet(tmp_path / "x.parquet")
    assert read_sequences(tmp_path / "x.parquet", 2).tolist() == [[[1, 2.5], [3, 4]]]


def test_reading_needs_no_torch() -> None:
    code = "import sys, zoo.data.sequences; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
