"""The data sources digits and mnist: contents, splits and memory; and `zoo.standardisation`."""

from __future__ import annotations

import hashlib
import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

import zoo
from tests.data.common import parts
from tests.data.idx_files import IMAGES, load_mnist, numbered_images, write_mnist
from tests.support.paths import DATA
from zoo.data.sources.digits import Digits
from zoo.data.sources.mnist import Mnist

MNIST = DATA / "mnist"
needs_mnist = pytest.mark.skipif(not MNIST.is_dir(), reason="the MNIST files are not in ../shared/data/mnist")


def digest(*tensors: torch.Tensor) -> str:
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()[:16]


def numbers(split: zoo.Split) -> list[int]:
    """Return the number that `numbered_images` wrote into each image."""
    return (split.x[:, 0, 0].int() * 256 + split.x[:, 0, 1].int()).tolist()


def assert_well_formed(dataset: zoo.Dataset, side: int) -> None:
    scale = dataset.signature.input_scale
    assert scale is not None
    assert dataset.signature == zoo.Signature(features=side, labels=tuple("0123456789"), input_scale=scale)
    assert dataset.time == side
    for part in parts(dataset):
        assert part.x.dtype == torch.uint8
        assert part.x.is_contiguous()
        assert part.y.dtype == torch.int64
        assert part.x.shape == (len(part), side, side)
        assert part.lengths is None
        assert part.naive is None
    counts = np.bincount(dataset.train.x.numpy().ravel()).tolist()
    total, first, second = (sum(count * value**power for value, count in enumerate(counts)) for power in range(3))
    assert scale.offset == pytest.approx((first / total,) * side, rel=1e-12)
    # Exact in integers up to the division; torch's standard deviation has an error of 1e-10 at 43 million pixels.
    assert scale.factor == pytest.approx((math.sqrt(total * second - first**2) / total,) * side, rel=1e-12)


def test_digits_are_well_formed() -> None:
    assert_well_formed(Digits().load(zoo.Config()), side=8)


def test_digits_are_split_into_disjoint_parts_that_make_up_the_whole() -> None:
    dataset = Digits().load(zoo.Config())
    assert [len(part) for part in parts(dataset)] == [1078, 359, 360]
    bunch = load_digits()
    got = sorted(
        bytes([y]) + x.numpy().tobytes() for part in parts(dataset) for x, y in zip(part.x, part.y, strict=True)
    )
    want = sorted(bytes([y]) + x.astype(np.uint8).tobytes() for x, y in zip(bunch.images, bunch.target, strict=True))
    assert got == want


def test_digits_are_stratified() -> None:
    dataset = Digits().load(zoo.Config())
    whole = torch.bincount(torch.cat([part.y for part in parts(dataset)]))
    for part in parts(dataset):
        expected = whole * (len(part) / whole.sum())
        # scikit-learn rounds each class up or down, once for each of the two cuts.
        assert (torch.bincount(part.y) - expected).abs().max() < 2


def test_digits_split_never_changes() -> None:
    """Otherwise results of different versions could not be compared."""
    dataset = Digits().load(zoo.Config())
    assert [digest(part.x, part.y) for part in parts(dataset)] == [
        "b174cf9d95f9bb9b",
        "0446cb5dadb78cc9",
        "fef83c30c2604db1",
    ]


@pytest.mark.parametrize("zipped", [False, True])
def test_mnist_is_read_zipped_or_not(tmp_path: Path, zipped: bool) -> None:
    write_mnist(tmp_path, np.arange(120, dtype=np.uint8) % 10, zipped=zipped)
    dataset = load_mnist(tmp_path)
    assert_well_formed(dataset, side=28)
    assert [len(part) for part in parts(dataset)] == [110, 10, 3]
    assert dataset.test.y.tolist() == [7, 0, 9]
    assert np.array_equal(dataset.test.x.numpy(), numbered_images(3))


def test_mnist_may_be_centred(tmp_path: Path) -> None:
    """The scale maps pixels to -0.5 to 0.5 and does not depend on the training part."""
    write_mnist(tmp_path, np.arange(120, dtype=np.uint8) % 10)
    dataset = Mnist().load(Mnist.Config(folder=str(tmp_path), scaling="centred"))
    assert dataset.signature.input_scale == zoo.Scale((127.5,) * 28, (255.0,) * 28)


def test_mnist_reads_some_files_zipped_and_others_not(tmp_path: Path) -> None:
    write_mnist(tmp_path / "plain", np.arange(24, dtype=np.uint8) % 10)
    write_mnist(tmp_path / "mixed", np.arange(24, dtype=np.uint8) % 10, zipped=True)
    (tmp_path / "mixed" / f"{IMAGES}.gz").unlink()
    (tmp_path / "plain" / IMAGES).rename(tmp_path / "mixed" / IMAGES)
    assert len(load_mnist(tmp_path / "mixed").train) == 22


def test_mnist_folder_is_relative_to_where_zoo_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / "data", np.arange(24, dtype=np.uint8) % 10)
    monkeypatch.chdir(tmp_path)
    assert len(load_mnist(Path("data")).train) == 22


# 5,000 images are moved in several chunks; 12 and 13 are the smallest sets.
@pytest.mark.parametrize("count", [12, 13, 100, 5000])
def test_mnist_holds_out_a_twelfth_of_each_digit(tmp_path: Path, count: int) -> None:
    digits = np.random.default_rng(count).choice(10, count, p=np.arange(1, 11) / 55).astype(np.uint8)
    write_mnist(tmp_path, digits)
    dataset = load_mnist(tmp_path)
    images = numbered_images(count)

    assert len(dataset.validation) == -(-count // 12)
    held = torch.bincount(dataset.validation.y, minlength=10)
    # A twelfth of each digit, rounded up or down.
    assert (held - torch.bincount(torch.from_numpy(digits), minlength=10) / 12).abs().max() < 1
    # Every image is in one part, once, unchanged and with its digit; the order is kept.
    assert sorted(numbers(dataset.train) + numbers(dataset.validation)) == list(range(count))
    for part in (dataset.train, dataset.validation):
        order = numbers(part)
        assert order == sorted(order)
        assert np.array_equal(part.x.numpy(), images[order])
        assert np.array_equal(part.y.numpy(), digits[order])


def test_mnist_is_in_memory_once(tmp_path: Path) -> None:
    write_mnist(tmp_path, (np.arange(24_000) % 10).astype(np.uint8))
    tracemalloc.start()
    try:
        dataset = load_mnist(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The images once; a twelfth more for the held-out images while they are moved; an eighth more that a bytearray
    # reserves as it grows (CPython, bytearray_resize); one chunk of 1 MiB. A second copy would make it 2.
    raw = sum(part.x.nbytes for part in parts(dataset))
    assert raw < peak < raw * (1 + 1 / 12 + 1 / 8) + (1 << 20)


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 3), st.integers(1, 3), st.integers(0, 255))
def test_standardisation_agrees_with_numpy(count: int, time: int, features: int, spread: int) -> None:
    x = np.random.default_rng(count).integers(0, spread + 1, (count, time, features), dtype=np.uint8)
    scale = zoo.standardisation(torch.from_numpy(x))
    # Sums of at most 2,700 terms in float64.
    for got, want in ((scale.offset, x.mean()), (scale.factor, x.std() or 1.0)):
        assert got == pytest.approx((want,) * features, rel=1e-12)


@needs_mnist
def test_real_mnist_is_well_formed_and_stratified() -> None:
    dataset = load_mnist(MNIST)
    assert_well_formed(dataset, side=28)
    assert [len(part) for part in parts(dataset)] == [55_000, 5_000, 10_000]
    held, stayed = torch.bincount(dataset.validation.y), torch.bincount(dataset.train.y)
    assert (held - (held + stayed) / 12).abs().max() < 1
    # The counts that are published with the set.
    assert torch.bincount(dataset.test.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@needs_mnist
def test_real_mnist_split_never_changes() -> None:
    dataset = load_mnist(MNIST)
    assert [digest(part.x, part.y) for part in parts(dataset)] == [
        "1354a99248812bac",
        "816d27f34d50dc9d",
        "a0863a96c44e5666",
    ]
