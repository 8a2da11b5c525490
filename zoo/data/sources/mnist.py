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
    """Digits of 28 rows of 28 pixels, each row a step. Pixels are 0 to 255 and stay uint8, in memory once."""

    name = "mnist"

    class Config(zoo.Config):
        folder: str = "data/mnist"
        """Where the four IDX files are, each with or without .gz; relative to where zoo is run."""
        scaling: Literal["standard", "centred"] = "standard"
        """standard: zero mean and unit variance over the training part; centred: from -0.5 to 0.5."""
        hold_out: Annotated[int, Field(ge=2)] = 12
        """One training image in so many is for validation: of MNIST's 60,000 one in 12 makes 5,000."""

    def load(self, config: zoo.Config) -> zoo.Dataset:
        assert isinstance(config, Mnist.Config)
        paths = _find(Path(config.folder))
        images, digits = _read(paths[0], paths[1])
        if len(images) < config.hold_out:
            raise zoo.DataError(
                f"{paths[0]}: holds {len(images)} images, expected at least {config.hold_out}, "
                f"since one in {config.hold_out} is held out for validation"
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
    """The four files, as they are or gzipped; as they are where there are both."""
    if fault := zoo.name_fault(folder):
        raise zoo.DataError(fault)
    try:
        present = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise _not_found(folder, f"cannot be read ({error.strerror or error})") from error
    if missing := [name for name in _FILES if not {name, name + ".gz"} & present]:
        raise _not_found(folder, f"lacks {', '.join(missing)}")
    return [folder / (name if name in present else name + ".gz") for name in _FILES]


def _not_found(folder: Path, fault: str) -> zoo.DataError:
    return zoo.DataError(
        f"{folder.absolute()}: {fault}; expected a folder with the four files {', '.join(_FILES)}, "
        "each with or without .gz; put them there or set 'folder' to where they are"
    )


def _read(images_path: Path, labels_path: Path) -> tuple[Bytes, Bytes]:
    """Images (n, 28, 28) and their digits (n,)."""
    digits = zoo.read_idx(labels_path, dims=1)
    images = zoo.read_idx(images_path, dims=3)
    if images.shape[1:] != (_SIDE, _SIDE):
        raise zoo.DataError(
            f"{images_path}: holds images of {images.shape[1]} x {images.shape[2]} pixels, expected {_SIDE} x {_SIDE}"
        )
    if len(images) != len(digits):
        raise zoo.DataError(
            f"{images_path}: holds {len(images):,} images but {labels_path} holds {len(digits):,} labels; "
            "expected one label for each image, so they are not of one set"
        )
    if digits.max() > 9:
        at = int(np.argmax(digits > 9))
        raise zoo.DataError(f"{labels_path}: label {at + 1:,} is {digits[at]}, expected 0 to 9")
    return images, digits


def _hold_out(images: Bytes, digits: Bytes, one_in: int) -> int:
    """Move one image in so many of each digit, with its digit, behind the others; returns how many stay in front.

    In place, by chunks: a second copy of the images would double the memory. Counting off needs no random numbers, so
    the split is the same for ever, and takes evenly from every stretch of the set.
    """
    held = np.sort(np.argsort(digits, kind="stable")[::one_in])
    kept = np.delete(np.arange(len(digits)), held)
    for array in (images, digits):
        behind = array[held]
        for start in range(0, len(kept), _CHUNK):
            chunk = kept[start : start + _CHUNK]  # what stays moves forward only, so nothing is overwritten unread
            array[start : start + len(chunk)] = array[chunk]
        array[len(kept) :] = behind
    return len(kept)


def _split(images: Bytes, digits: Bytes) -> zoo.Split:
    return zoo.Split(torch.from_numpy(images), torch.from_numpy(digits).long())


@zoo.hookimpl
def zoo_register_data() -> list[type[zoo.DataSource]]:
    return [Mnist]
