"""Noise of the disturbed arithmetic: numbers uniform in [-1, 1], drawn once and read at random places.

Drawing a number takes longer than most of the operations that it disturbs. So a bank of numbers is drawn once for the
whole process, and each operation reads as many neighbouring ones as it needs, from a place that is drawn anew. Two
operations therefore have different noise for the same element, but for a chance of one in `SIZE`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor

SIZE = 1 << 20
"""Numbers in the bank: 8 MB."""


@cache
def _bank(scale: float, offset: float, factor: float) -> Tensor:
    """Return factor * (offset + scale * xi) for all numbers xi of the bank."""
    if (scale, offset, factor) != (1.0, 0.0, 1.0):
        return _bank(1.0, 0.0, 1.0).mul(scale).add_(offset).mul_(factor)
    return torch.rand(SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64).mul_(2).sub_(1)


class Noise:
    """Reads from the bank.

    Args:
        seed: of the places.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  (chance, not secrets)

    def uniform(self, shape: torch.Size) -> Tensor:
        """Return numbers uniform in [-1, 1], in a new array of any size."""
        noise = torch.ones(shape, dtype=torch.float64)
        self.multiply(noise, 1.0, 0.0, 1.0)
        return noise

    def multiply(self, array: Tensor, scale: float, offset: float, factor: float) -> None:
        """Multiply an array in place by factor * (offset + scale * xi), with a number xi for each element."""
        bank = _bank(scale, offset, factor)
        for part in _parts(array):
            count = part.numel()
            place = int(self._random.random() * (SIZE - count + 1))
            part.mul_(bank[place : place + count].view(part.shape))

    def sides(self, count: int) -> Tensor:
        """Draw numbers that are 1 or -1."""
        return torch.tensor([self._random.choice((-1.0, 1.0)) for _ in range(count)], dtype=torch.float64)


def _parts(array: Tensor) -> Iterator[Tensor]:
    """Yield views of an array, each with at most as many numbers as half of the bank."""
    if array.numel() <= SIZE // 2:
        yield array
        return
    longest = max(range(array.dim()), key=array.shape.__getitem__)
    for half in array.chunk(2, longest):
        yield from _parts(half)
