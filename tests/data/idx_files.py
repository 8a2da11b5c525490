"""Small data sets in the format of MNIST, written and loaded."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import zoo
from zoo.data.sources.mnist import Mnist

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx_bytes(values: NDArray[np.uint8]) -> bytes:
    """Return the IDX file of an array of unsigned bytes."""
    return bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape) + values.tobytes()


def numbered_images(count: int) -> NDArray[np.uint8]:
    """Return noise (count, 28, 28) in which the first two pixels of each image are its number, high byte first."""
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.arange(count) // 256, np.arange(count) % 256
    return images


def load_mnist(folder: Path) -> zoo.Dataset:
    return Mnist().load(Mnist.Config(folder=str(folder)))


def write_mnist(folder: Path, digits: NDArray[np.uint8], *, zipped: bool = False) -> None:
    """Write the four files of a data set with these training digits and with 3 test images."""
    contents = {
        IMAGES: numbered_images(len(digits)),
        LABELS: digits,
        TEST_IMAGES: numbered_images(3),
        TEST_LABELS: np.array([7, 0, 9], np.uint8),
    }
    folder.mkdir(exist_ok=True)
    for name, values in contents.items():
        content = idx_bytes(values)
        (folder / (name + ".gz" if zipped else name)).write_bytes(gzip.compress(content) if zipped else content)
