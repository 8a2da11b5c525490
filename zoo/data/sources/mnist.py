"""The data source ``mnist``: handwritten digits from the four standard IDX files in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

import zoo

__all__ = ["Mnist", "zoo_register_data"]

_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_SIDE, _WHITE = 28, 255
_CHUNK = 1024

Bytes = NDArray[np.uint8]


class Mnist(zoo.DataSource):
    """Digits of 28 x 28 pixels, each row a step of 28 features; pixels from 0 to 255, uint8, in memory once."""

    name = "mnist"

    class Config(zoo.Config):
        folder: str = "data/mnist"
        """The folder of the four IDX files, each with or without .gz; relative to the current folder."""
        scaling: Literal["standard", "centred"] = "standard"
        """Scale of the pixels: standard: mean 0 and variance 1 over the training part; centred: from -0.5 to 0.5."""
        hold_out: Annotated[int, Field(ge=2)] = 12
        """One training image in this many is for validation; 12 gives 5,000 of MNIST's 60,000."""

    def load(self, config: zoo.Config) -> zoo.Dataset:
        assert isinstance(config, Mnist.Config)
        paths = _find(Path(config.folder))
        images, digits = _read(paths[0], paths[1])
        if len(images) < config.hold_out:
            raise zoo.DataError(
                f"{paths[0]}: contains {len(images)} images, expected at least {config.hold_out}, because one in "
                f"{config.hold_out} is held out for validation; lower data.hold_out"
            )
        train = _hold_out(images, digits, config.hold_out)
        test_images, test_digits = _read(paths[2], paths[3])
        train_split = _split(images[:train], digits[:train])
        centred = zoo.Scale((_WHITE / 2,) * _SIDE, (float(_WHITE),) * _SIDE)
        scale = centred if config.scaling == "centred" else zoo.standardisation(train_split.x)
        return zoo.Dataset(
            train=train_split,
            validation=_split(images[train:], digits[train:]),
            test=_split(test_images, test_digits),
            signature=zoo.Signature(features=_SIDE, labels=tuple("0123456789"), input_scale=scale),
            description=(
                "Handwritten digits of 28 x 28 pixels from 0 to 255, read row by row (MNIST; Y. LeCun, C. Cortes and "
                f"C. Burges; CC BY-SA 3.0). The test part is the set's own; one training image in {config.hold_out} of "
                "each digit is held out for validation."
            ),
        )


def _find(folder: Path) -> list[Path]:
    """Return the paths of the four files; the plain one where a file exists both plain and gzipped."""
    if fault := zoo.name_fault(folder):
        raise zoo.DataError(fault)
    try:
        present = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise _folder_error(folder, f"cannot be read ({error.strerror or error})") from error
    if missing := [name for name in _FILES if not {name, name + ".gz"} & present]:
        raise _folder_error(folder, f"lacks {', '.join(missing)}")
    return [folder / (name if name in present else name + ".gz") for name in _FILES]


def _folder_error(folder: Path, fault: str) -> zoo.DataError:
    return zoo.DataError(
        f"{folder.absolute()}: {fault}; expected a folder with the four files {', '.join(_FILES)}, "
        "each with or without .gz; put them there or set data.folder to their folder"
    )


def _read(images_path: Path, labels_path: Path) -> tuple[Bytes, Bytes]:
    """Return the images (n, 28, 28) and their digits (n,)."""
    digits = zoo.read_idx(labels_path, dims=1)
    images = zoo.read_idx(images_path, dims=3)
    if images.shape[1:] != (_SIDE, _SIDE):
        raise zoo.DataError(
            f"{images_path}: contains images of {images.shape[1]} x {images.shape[2]} pixels, "
            f"expected {_SIDE} x {_SIDE}; replace the file"
        )
    if len(images) != len(digits):
        raise zoo.DataError(
            f"{images_path}: contains {len(images):,} images, and {labels_path} contains {len(digits):,} labels, "
            "expected one label for each image; replace one of the files"
        )
    if digits.max() > 9:
        at = int(np.argmax(digits > 9))
        raise zoo.DataError(f"{labels_path}: label {at + 1:,} is {digits[at]}, expected 0 to 9; replace the file")
    return images, digits


def _hold_out(images: Bytes, digits: Bytes, one_in: int) -> int:
    """Move one image in ``one_in`` of each digit, with its digit, to the end; return the number of images before them.

    In place, by chunks: a second copy of the images would double the memory. Counting needs no random numbers, so the
    split never changes, and it takes evenly from every stretch of the set.
    """
    held = np.sort(np.argsort(digits, kind="stable")[::one_in])
    kept = np.delete(np.arange(len(digits)), held)
    for array in (images, digits):
        moved = array[held]
        for start in range(0, len(kept), _CHUNK):
            chunk = kept[start : start + _CHUNK]  # rows move forward only, so none is overwritten before it is read
            array[start : start + len(chunk)] = array[chunk]
        array[len(kept) :] = moved
    return len(kept)


def _split(images: Bytes, digits: Bytes) -> zoo.Split:
    return zoo.Split(torch.from_numpy(images), torch.from_numpy(digits).long())


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    """Register `Mnist` as the data source ``mnist``."""
    return [Mnist]
