"""Bad data files: each raises a one-line error that names it, and no memory is allocated for what a header states."""

from __future__ import annotations

import gzip
import io
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

import zoo
from tests.data.common import error_of, rewrites_files
from tests.data.idx_files import IMAGES, LABELS, TEST_LABELS, idx_bytes, load_mnist, numbered_images, write_mnist
from zoo.data.sequences import read_sequences

FEATURES = 3
DIGITS = np.arange(24, dtype=np.uint8) % 10
# The files below contain at most a few hundred KiB. Readers take 1 MiB at a time and need one or two buffers of it.
ALLOWED_BYTES = 8 << 20


def npy(values: object, dtype: str | None = None) -> bytes:
    """Return the .npy file of an array; objects are pickled."""
    stream = io.BytesIO()
    np.save(stream, np.asarray(values, dtype), allow_pickle=True)
    return stream.getvalue()


def npy_with(header: str, data: bytes = b"") -> bytes:
    """Return a .npy file of version 1.0 with this header, valid or not."""
    text = (header + "\n").encode("latin1")
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def npy_of_shape(shape: str) -> bytes:
    """Return a .npy file of 24 bytes of float32 whose header states this shape."""
    return npy_with(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}", b"\0" * 24)


GOOD_ROW = b"1,2,3\n"
Scalar = TypeVar("Scalar", bound=np.generic)
NAN, INF = float("nan"), float("inf")

SEQUENCES: dict[str, tuple[str, bytes, str]] = {
    "unknown ending": ("x.dat", GOOD_ROW, "ending '.dat', expected .npy, .csv"),
    "no ending": ("x", GOOD_ROW, "ending '', expected"),
    "csv: empty": ("x.csv", b"", "is empty, expected a line"),
    "csv: byte order mark alone": ("x.csv", b"\xef\xbb\xbf", "is empty, expected a line"),
    "csv: empty lines alone": ("x.csv", b"\n\n\n", "is empty, expected a line"),
    "csv: header alone": ("x.csv", b"a,b,c\n", "has no rows below the names"),
    "csv: binary": ("x.csv", GOOD_ROW + b"\x89PNG\r\n\x1a\n", ":2: is not UTF-8"),
    "csv: a zip file": ("x.csv", b"PK\x03\x04\x14\x00\xff\xfe", ":1: contains a NUL byte"),
    "csv: zero bytes": ("x.csv", b"1,2,\x003\n", ":1: contains a NUL byte"),
    "csv: row too short": ("x.csv", GOOD_ROW + b"1,2\n", ":2: columns: 2, expected 3"),
    "csv: row too long": ("x.csv", GOOD_ROW + b"1,2,3,4\n", ":2: columns: 4, expected 3"),
    "csv: header too short": ("x.csv", b"a,b\n" + GOOD_ROW, ":2: columns: 3, expected 2 as in the first line"),
    "csv: wrong number of features": ("x.csv", b"1,2\n1,2\n", ": columns: 2, expected 3"),
    "csv: empty line inside": ("x.csv", GOOD_ROW + b"\n" + GOOD_ROW, ":2: is an empty line"),
    "csv: a word": ("x.csv", GOOD_ROW + b"1,two,3\n", ":2:2: 'two' is not a number"),
    "csv: two headers": ("x.csv", b"a,b,c\nd,e,f\n", ":2:1: 'd' is not a number"),
    "csv: header with a number": ("x.csv", b"a,1,c\n" + GOOD_ROW, ":1:1: 'a' is not a number"),
    "csv: first row missing": ("x.csv", b"NA,n/a,null\n" + GOOD_ROW, ":1:1: is missing, expected a number"),
    "csv: empty cell": ("x.csv", b"1,,3\n", ":1:2: is missing, expected a number"),
    "csv: underscore": ("x.csv", b"1,2,1_000\n", ":1:3: '1_000' is not a number"),
    "csv: cell with a line break": ("x.csv", b'1,2,"a\nb"\n', ":2:3: 'a\\nb' is not a number"),
    "csv: long cell": ("x.csv", b"1,2," + b"x" * 1000, ":1:3: '" + "x" * 30 + "…' is not a number"),
    "csv: cell beyond all limits": ("x.csv", b"1,2," + b"9" * 200_000, "…' is more than float32 can hold"),
    "csv: open quote": ("x.csv", GOOD_ROW + b'1,2,"3\n', ":2: is not CSV"),
    "csv: nan": ("x.csv", b"a,b,c\n" + GOOD_ROW + b"1,nan,3\n", ":3:2: is missing, expected a number"),
    "csv: infinity": ("x.csv", b"1,2,-inf\n", ":1:3: '-inf' is more than float32 can hold"),
    "csv: too large for float32": ("x.csv", GOOD_ROW + b"1,2,1e39\n", ":2:3: '1e39' is more than float32 can hold"),
    "npy: empty": ("x.npy", b"", "is not a .npy file"),
    "npy: text": ("x.npy", GOOD_ROW, "is not a .npy file"),
    "npy: a zip file": ("x.npy", b"PK\x03\x04" + b"\0" * 100, "is not a .npy file"),
    "npy: a bare pickle": ("x.npy", b"\x80\x04K\x01.", "is not a .npy file"),
    "npy: magic alone": ("x.npy", b"\x93NUMPY", "header that cannot be understood"),
    "npy: header cut off": ("x.npy", npy([[1.0, 2, 3]])[:40], "header that cannot be understood"),
    "npy: unknown version": ("x.npy", b"\x93NUMPY\x09\x00" + b"\0" * 100, "header that cannot be understood"),
    "npy: header not a dictionary": ("x.npy", npy_with("[1, 2]"), "header that cannot be understood"),
    "npy: header with an open bracket": ("x.npy", npy_with("{'descr': ("), "header that cannot be understood"),
    "npy: header nested deeply": ("x.npy", npy_with("(" * 5000), "header that cannot be understood"),
    "npy: header too long": ("x.npy", npy_with("#" * 60_000), "header that cannot be understood"),
    "npy: data cut off": ("x.npy", npy([[1.0, 2, 3]])[:-1], "24 bytes, found 23"),
    "npy: data go on": ("x.npy", npy([[1.0, 2, 3]]) + b"\0", "24 bytes, found 25"),
    "npy: huge": ("x.npy", npy_of_shape("(1000000000000, 3)"), "12,000,000,000,000 bytes, found 24"),
    "npy: huge beyond 64 bits": ("x.npy", npy_of_shape("(4294967296, 4294967296, 3)"), "bytes, found 24"),
    "npy: negative": ("x.npy", npy_of_shape("(-2, 3)"), "(-2, 3), expected at least one"),
    "npy: scalar": ("x.npy", npy(1.0), "has the shape (), expected (time, 3)"),
    "npy: one dimension": ("x.npy", npy([1.0, 2, 3]), "has the shape (3,), expected (time, 3)"),
    "npy: four dimensions": ("x.npy", npy(np.ones((1, 1, 1, 3))), "has the shape (1, 1, 1, 3), expected (time, 3)"),
    "npy: wrong number of features": ("x.npy", npy([[1.0, 2]]), "has the shape (1, 2), expected (time, 3)"),
    "npy: no steps": ("x.npy", npy(np.ones((0, 3))), "(0, 3), expected at least one sequence and one step"),
    "npy: no sequences": ("x.npy", npy(np.ones((0, 5, 3))), "(0, 5, 3), expected at least one"),
    "npy: pickled objects": ("x.npy", npy([[1.0, None, "three"]]), "type object, expected real numbers"),
    "npy: complex": ("x.npy", npy([[1j, 2, 3]]), "type complex128, expected real numbers"),
    "npy: truth values": (
        "x.npy",
        npy([[True, False, True]]),
        "type bool, expected real numbers such as float32; conv",
    ),
    "npy: text cells": ("x.npy", npy([["1", "2", "3"]]), "type <U1, expected real numbers"),
    "npy: dates": ("x.npy", npy([[1, 2, 3]], "M8[s]"), "type datetime64[s], expected real numbers"),
    "npy: records": ("x.npy", npy([[(1.0,)] * 3], "f4,"), "expected real numbers"),
    "npy: nan": ("x.npy", npy([[1.0, 2, 3], [4, NAN, 6]]), "at [1, 1]: nan is not a finite number"),
    "npy: infinity": ("x.npy", npy([[[1.0, 2, 3], [4, 5, -INF]]]), "at [0, 1, 2]: -inf is not a finite number"),
    "npy: too large for float32": ("x.npy", npy([[1.0, 2, 1e39]]), "at [0, 2]: 1e+39 is more than float32 can hold"),
}


def zipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


GOOD_IMAGES = idx_bytes(numbered_images(24))


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def header(*sizes: int) -> bytes:
    return bytes([0, 0, 8, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes)


IDX: dict[str, tuple[str, bytes, str]] = {
    "empty": (IMAGES, b"", "is empty"),
    "empty and gzipped": (IMAGES + ".gz", zipped(b""), "is empty"),
    "wrong magic": (IMAGES, b"\x89PNG" + b"\0" * 100, "starts with the bytes 89 50 4e 47, expected 00 00 08 03"),
    "labels for images": (IMAGES, idx_bytes(DIGITS), "starts with the bytes 00 00 08 01, expected 00 00 08 03"),
    "images for labels": (LABELS, GOOD_IMAGES, "starts with the bytes 00 00 08 03, expected 00 00 08 01"),
    "floats": (IMAGES, flipped(GOOD_IMAGES, 2), "starts with the bytes 00 00 f7 03"),
    "gzip without the ending": (IMAGES, zipped(GOOD_IMAGES), "its name must end in .gz"),
    "not gzip in spite of the ending": (IMAGES + ".gz", GOOD_IMAGES, "is not a valid gzip file"),
    "gzip cut off": (IMAGES + ".gz", zipped(GOOD_IMAGES)[:-100], "is not a valid gzip file"),
    "gzip with a wrong checksum": (IMAGES + ".gz", flipped(zipped(GOOD_IMAGES), -6), "is not a valid gzip file"),
    "gzip with wrong contents": (IMAGES + ".gz", zipped(GOOD_IMAGES)[:99] + b"\xff" * 999, "is not a valid gzip file"),
    "gzip with junk behind": (IMAGES + ".gz", zipped(GOOD_IMAGES) + b"junk", "is not a valid gzip file"),
    "header cut off": (IMAGES, GOOD_IMAGES[:10], "ends inside its header, at 10 of 16 bytes"),
    "data cut off": (IMAGES, GOOD_IMAGES[:-1], "24 x 28 x 28 = 18,816 bytes of data, found only 18,815"),
    "header alone": (IMAGES, GOOD_IMAGES[:16], "found only 0"),
    "data go on": (IMAGES, GOOD_IMAGES + b"\0", "18,816 bytes of data, found more"),
    "gzip bomb": (IMAGES + ".gz", zipped(GOOD_IMAGES + b"\0" * (64 << 20)), "18,816 bytes of data, found more"),
    "huge": (IMAGES, header(4294967295, 28, 28) + b"\0" * 784, "4,294,967,295 x 28 x 28 = 3,367,254,359,280 bytes"),
    "huge and gzipped": (IMAGES + ".gz", zipped(header(2**32 - 1, 2**32 - 1, 2**32 - 1)), "found only 0"),
    "no images": (IMAGES, header(0, 28, 28), "contains no data: its header states 0 x 28 x 28"),
    "images of another size": (IMAGES, idx_bytes(np.zeros((24, 8, 8), np.uint8)), "8 x 8 pixels, expected 28 x 28"),
    "more images than labels": (IMAGES, idx_bytes(numbered_images(25)), "contains 25 images, and"),
    "fewer labels than images": (LABELS, idx_bytes(DIGITS[:-1]), "contains 23 labels"),
    "test labels of the training part": (TEST_LABELS, idx_bytes(DIGITS), "contains 24 labels"),
    "label out of range": (LABELS, idx_bytes(np.where(DIGITS == 9, 10, DIGITS).astype(np.uint8)), "label 10 is 10"),
}


def message_of(path: Path, action: Callable[[], object]) -> str:
    """Return the error message for ``path``, after the checks that apply to every bad file."""
    tracemalloc.start()
    try:
        message = error_of(action)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(path) in message
    assert len(message.replace(str(path), "").replace(str(path.parent), "")) < 300  # two lines and a half
    assert peak < ALLOWED_BYTES
    return message


@pytest.mark.parametrize(("name", "content", "expected"), SEQUENCES.values(), ids=SEQUENCES.keys())
def test_bad_sequences(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    message = message_of(path, lambda: read_sequences(path, FEATURES))
    assert message.startswith(f"{path}:")
    assert expected in message


def test_an_error_of_the_csv_module_is_shown_without_its_advice_to_programmers(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"1,2,3\r4,5,6\r")
    message = message_of(path, lambda: read_sequences(path, FEATURES))
    assert message == f"{path}:1: is not CSV: new-line character seen in unquoted field; correct the line"


@pytest.mark.parametrize(("name", "content", "expected"), IDX.values(), ids=IDX.keys())
def test_bad_idx_files(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    write_mnist(tmp_path, DIGITS)
    (tmp_path / name.removesuffix(".gz")).unlink()
    path = tmp_path / name
    path.write_bytes(content)
    message = message_of(path, lambda: load_mnist(tmp_path))
    assert expected in message


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_idx_files_as_long_as_one_chunk(tmp_path: Path, extra: int) -> None:
    path = tmp_path / "labels"
    path.write_bytes(header(1 << 20) + bytes((1 << 20) + extra))
    got = result_or_one_line(path, lambda: zoo.read_idx(path, dims=1))
    assert (got is None) == (extra != 0)


def test_mnist_with_too_few_images_to_hold_any_out(tmp_path: Path) -> None:
    write_mnist(tmp_path, DIGITS[:11])
    message = message_of(tmp_path / IMAGES, lambda: load_mnist(tmp_path))
    assert message.startswith(f"{tmp_path / IMAGES}: contains 11 images, expected at least 12")


@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_mnist_file_missing(tmp_path: Path, name: str) -> None:
    write_mnist(tmp_path, DIGITS)
    (tmp_path / name).unlink()
    message = message_of(tmp_path, lambda: load_mnist(tmp_path))
    assert message.startswith(f"{tmp_path}: lacks {name}; expected a folder with the four files")


@pytest.mark.parametrize("folder", ["absent", "file", "file/below"])
def test_mnist_folder_that_is_not_a_folder(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("")
    message = message_of(tmp_path / folder, lambda: load_mnist(tmp_path / folder))
    assert message.startswith(f"{tmp_path / folder}: cannot be read")
    assert IMAGES in message


@pytest.mark.parametrize(
    ("folder", "fault"),
    [("zero\0byte", r"has a control character in its name, '\x00'"), ("long" * 64, "has a name of 256 characters")],
)
def test_mnist_folder_with_an_impossible_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, fault: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fault in error_of(lambda: load_mnist(Path(folder)))


def make_folder(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def make_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


NO_FILES = [
    (make_folder, "is a folder, expected a file"),
    (make_pipe, "is a device, pipe or socket"),
    (make_dangling_link, "there is no such file"),
    (make_link_to_itself, "cannot be read"),
]


@pytest.mark.parametrize(("make", "expected"), NO_FILES)
@pytest.mark.parametrize("name", [IMAGES, f"{LABELS}.gz"])
def test_something_else_in_place_of_an_idx_file(
    tmp_path: Path, name: str, make: Callable[[Path], None], expected: str
) -> None:
    write_mnist(tmp_path, DIGITS)
    (tmp_path / name.removesuffix(".gz")).unlink()
    make(tmp_path / name)
    assert message_of(tmp_path / name, lambda: load_mnist(tmp_path)).startswith(f"{tmp_path / name}: {expected}")


@pytest.mark.parametrize(("make", "expected"), NO_FILES)
@pytest.mark.parametrize("name", ["x.npy", "x.csv"])
def test_something_else_in_place_of_sequences(
    tmp_path: Path, name: str, make: Callable[[Path], None], expected: str
) -> None:
    path = tmp_path / name
    make(path)
    assert message_of(path, lambda: read_sequences(path, FEATURES)).startswith(f"{path}: {expected}")


@pytest.mark.parametrize("name", ["absent.npy", "absent.csv"])
def test_missing_sequences(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert (
        message_of(path, lambda: read_sequences(path, FEATURES)) == f"{path}: there is no such file; correct the path"
    )


def result_or_one_line(path: Path, read: Callable[[], NDArray[Scalar]]) -> NDArray[Scalar] | None:
    """Return the array that a reader gives; or None, after checking that its error is one line that names the file."""
    try:
        return read()
    except zoo.DataError as error:
        message = str(error)
    assert message.startswith(f"{path}:")
    assert message.splitlines() == [message]
    return None


def check_sequences(path: Path, content: bytes) -> None:
    """Check that reading this content gives an array as documented, or a one-line error."""
    path.write_bytes(content)
    got = result_or_one_line(path, lambda: read_sequences(path, FEATURES))
    if got is not None:
        assert got.dtype == np.float32
        assert got.ndim == 3
        assert got.shape[2] == FEATURES
        assert got.size > 0
        assert np.isfinite(got).all()


@rewrites_files
@given(
    st.one_of(st.binary(max_size=200), st.text("0123456789.,-+eE\"'\r\n na;_\x00\u2028é", max_size=60).map(str.encode))
)
@example('1,2,"\u2028"\n'.encode())
def test_any_csv_gives_sequences_or_one_line(tmp_path: Path, content: bytes) -> None:
    check_sequences(tmp_path / "x.csv", content)


@rewrites_files
@given(
    st.one_of(
        st.binary(max_size=100).map(lambda junk: b"\x93NUMPY\x01\x00" + junk),
        st.text("0123456789(){}[]'\",:-<>fiuOTrueFalsedescrshape_order \nL\\x", max_size=100).map(npy_with),
        st.tuples(st.integers(0, len(npy(np.ones((2, 3), "f4"))) - 1), st.binary(min_size=1, max_size=3)).map(
            lambda edit: (good := npy(np.ones((2, 3), "f4")))[: edit[0]] + edit[1] + good[edit[0] + len(edit[1]) :]
        ),
    )
)
def test_any_npy_gives_sequences_or_one_line(tmp_path: Path, content: bytes) -> None:
    check_sequences(tmp_path / "x.npy", content)


@rewrites_files
@given(at=st.integers(0, len(zipped(idx_bytes(DIGITS))) - 1), junk=st.binary(min_size=1, max_size=4), cut=st.booleans())
def test_any_damage_to_a_gzipped_idx_file_gives_the_same_data_or_one_line(
    tmp_path: Path, at: int, junk: bytes, cut: bool
) -> None:
    good = zipped(idx_bytes(DIGITS))
    path = tmp_path / "labels.gz"
    path.write_bytes(good[:at] if cut else good[:at] + junk + good[at + len(junk) :])
    got = result_or_one_line(path, lambda: zoo.read_idx(path, dims=1))
    if got is not None:
        np.testing.assert_array_equal(got, DIGITS)
