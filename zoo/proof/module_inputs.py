"""Inputs of a module of any free sizes, drawn like the arguments of its examples.

What an argument is follows from its examples alone:

- floating-point numbers: rows of the examples, or uniform over three times their range, or ten times as large. Numbers
  that are never negative stay so.
- integers: those of the examples, or uniform between the smallest and the largest of them, every one of these at least
  once over all inputs as far as they fit.
- lengths: integers (batch,), up to the number of steps where the example's largest is, or in proportion to it.
- masks, of booleans: in each row at least one true where the rows of the examples have one, and a false one by the
  same rule; true up to some step where the rows of the examples are.
- matrices with equal diagonals and one size on both axes, such as a causal mask: the same diagonals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from zoo.parity import Array
from zoo.proof.cases import LengthsKind, are_possible, draw_lengths
from zoo.proof.further import EXTREME

Sizes = Mapping[str, int]
"""Number of each free size, by name."""
Kind = Literal["data", "wide", "extreme"]
"""See `zoo.proof.cases.Inputs`."""
LENGTHS: tuple[LengthsKind, ...] = ("unsorted", "short", "mixed", "equal", "ones")
"""Kinds of lengths, which take turns."""
SORTED: tuple[LengthsKind, ...] = ("mixed", "short", "mixed", "equal", "ones")
"""The same for a module that takes lengths in descending order only."""


@dataclass(frozen=True)
class Argument:
    """One tensor among the arguments."""

    name: str
    examples: tuple[Array, ...]
    axes: tuple[str | None, ...]
    """Name of the size of each axis; None where it is fixed."""

    def sizes(self, example: int = 0) -> dict[str, int]:
        """Return the free sizes of an example by name."""
        shape = self.examples[example].shape
        return {name: size for name, size in zip(self.axes, shape, strict=True) if name is not None}

    def shape(self, sizes: Sizes) -> tuple[int, ...]:
        """Return the shape with other sizes."""
        own = self.examples[0].shape
        return tuple(size if name is None else sizes[name] for name, size in zip(self.axes, own, strict=True))

    @property
    def flat(self) -> Array:
        """All numbers of all examples."""
        return np.concatenate([example.ravel() for example in self.examples])


class Drawer:
    """Source of arguments.

    Args:
        arguments: the tensors, with their examples.
        batch: name of the size that counts rows; None where there is none.
        seed: seed of everything that is drawn.
    """

    def __init__(self, arguments: Sequence[Argument], batch: str | None, seed: int) -> None:
        self.arguments, self.batch = arguments, batch
        self.generator = np.random.default_rng(seed)
        self.descending = False
        """Whether the module takes lengths in descending order only."""
        self._count = 0
        self._steps = {index: steps for index in range(len(arguments)) if (steps := self._steps_of(index)) is not None}
        self._pending = {
            index: self.generator.permutation(_values(each))
            for index, each in enumerate(arguments)
            if index not in self._steps
        }

    @property
    def untried(self) -> dict[str, int]:
        """How many integers of the examples' range no input had, by the name of the argument."""
        return {self.arguments[index].name: len(left) for index, left in self._pending.items() if len(left)}

    def _steps_of(self, index: int) -> tuple[str, float] | None:
        """Return the size that limits an argument's lengths, and the largest length in units of it; None for others."""
        argument = self.arguments[index]
        values = argument.flat
        if values.dtype.kind not in "iu" or len(argument.axes) != 1 or not values.size or values.min() < 1:
            return None
        others = [
            (name, size)
            for each in self.arguments
            if each is not argument
            for name, size in each.sizes().items()
            if name not in (argument.axes[0], self.batch)
        ]
        largest = int(argument.examples[0].max())
        if exact := next((name for name, size in others if size == largest), None):
            return exact, 1.0
        if "len" in argument.name.lower() and others and others[0][1] > largest:
            return others[0][0], largest / others[0][1]
        return None

    def draw(self, kind: Kind, sizes: Sizes) -> list[Array]:
        """Draw all arguments."""
        self._count += 1
        number = int(self.generator.integers(len(self.arguments[0].examples)))
        places = self._places(number, sizes)
        return [
            np.ascontiguousarray(self._draw(index, kind, sizes, places, number).astype(argument.examples[0].dtype))
            for index, argument in enumerate(self.arguments)
        ]

    def _places(self, number: int, sizes: Sizes) -> dict[str, Array]:
        """Draw which entries of an example stand at each place of a free size: the same for all arguments."""
        places: dict[str, Array] = {}
        for argument in self.arguments:
            for name, old in argument.sizes(number).items():
                if name == self.batch:
                    picked = self.generator.integers(old, size=sizes[name])
                else:
                    picked = (self.generator.integers(old) + np.arange(sizes[name])) % old
                places.setdefault(name, picked)
        return places

    def _draw(self, index: int, kind: Kind, sizes: Sizes, places: Mapping[str, Array], number: int) -> Array:
        argument = self.arguments[index]
        example, shape = argument.examples[number], argument.shape(sizes)
        if index in self._steps:
            return self._lengths(*self._steps[index], shape[0], sizes)
        if _has_equal_diagonals(argument):
            return _with_diagonals(example, shape)
        if example.dtype.kind == "b":
            return self._mask(argument, kind, shape, _taken(argument, example, places))
        if kind == "data" or example.dtype.kind not in "iuf" or not np.isfinite(argument.flat).all():
            return _taken(argument, example, places)
        if example.dtype.kind == "f":
            taken = _taken(argument, example, places)
            return self._extreme(argument, taken) if kind == "extreme" else self._wide(argument, shape)
        return self._integers(index, shape)

    def _lengths(self, name: str, share: float, rows: int, sizes: Sizes) -> Array:
        most = max(1, int(sizes[name] * share))
        kinds = SORTED if self.descending else LENGTHS
        turned = [kinds[(self._count + step) % len(kinds)] for step in range(len(kinds))]
        kind = next(each for each in turned if are_possible(each, rows, most))
        lengths = draw_lengths(kind, rows, most, self.generator)
        assert lengths is not None
        return np.sort(lengths)[::-1] if self.descending else lengths

    def _mask(self, argument: Argument, kind: Kind, shape: tuple[int, ...], taken: Array) -> Array:
        rows = [
            example.reshape(-1, example.shape[-1]) if example.ndim else example[None] for example in argument.examples
        ]
        if not shape:
            return taken
        mask = taken
        if kind != "data":
            share = float(np.clip(argument.flat.mean(), 0.2, 0.8))
            mask = self.generator.random(shape) < share
            if all((each[:, :-1] >= each[:, 1:]).all() for each in rows):
                most = self.generator.integers(1, shape[-1] + 1, size=(*shape[:-1], 1))
                mask = np.arange(shape[-1]) < most
        flat = mask.reshape(-1, shape[-1]).copy()
        for value in (True, False):  # where both are due and there is one place only, it is false
            if all((each == value).any(1).all() for each in rows):
                lacking = np.flatnonzero(~(flat == value).any(1))
                flat[lacking, -1 if not value else 0] = value
        return flat.reshape(shape)

    def _wide(self, argument: Argument, shape: tuple[int, ...]) -> Array:
        low, high = float(argument.flat.min()), float(argument.flat.max())
        spread = (high - low) or 1.0
        return self.generator.uniform(low - spread if low < 0 else low / 3, high + spread, shape)

    def _extreme(self, argument: Argument, taken: Array) -> Array:
        """Replace half of the numbers by ones of one to ten times the largest magnitude."""
        largest = EXTREME * (float(np.abs(argument.flat).max()) or 1.0)
        signs = self.generator.choice([-1.0, 1.0], size=taken.shape) if argument.flat.min() < 0 else 1.0
        far = signs * largest * EXTREME ** self.generator.uniform(-1, 0, taken.shape)
        most = float(np.finfo(np.float32).max)
        return np.where(self.generator.random(taken.shape) < 0.5, far, taken).clip(-most, most)

    def _integers(self, index: int, shape: tuple[int, ...]) -> Array:
        values, count = _values(self.arguments[index]), int(np.prod(shape))
        due, self._pending[index] = self._pending[index][:count], self._pending[index][count:]
        rest = self.generator.integers(values.min(), values.max() + 1, size=count - len(due))
        return self.generator.permutation(np.concatenate([due, rest])).reshape(shape)


def _values(argument: Argument) -> Array:
    """Return every integer between the smallest and the largest of the examples; none for other dtypes."""
    if argument.flat.dtype.kind not in "iu" or not argument.flat.size:
        return np.zeros(0, np.int64)
    return np.arange(int(argument.flat.min()), int(argument.flat.max()) + 1)


def _taken(argument: Argument, example: Array, places: Mapping[str, Array]) -> Array:
    for axis, name in enumerate(argument.axes):
        if name is not None:
            example = example.take(places[name], axis)
    return example


def _has_equal_diagonals(argument: Argument) -> bool:
    """Whether an argument is a square matrix of one free size with equal numbers on each diagonal, and not just one."""
    example = argument.examples[0]
    if len(argument.axes) != 2 or argument.axes[0] is None or argument.axes[0] != argument.axes[1]:
        return False
    return (
        len(example) > 1
        and np.array_equal(example[1:, 1:], example[:-1, :-1])
        and bool((example != example[0, 0]).any())
    )


def _with_diagonals(example: Array, shape: tuple[int, ...]) -> Array:
    size = len(example)
    offsets = (np.arange(shape[1]) - np.arange(shape[0])[:, None]).clip(1 - size, size - 1)
    matrix: Array = np.where(offsets >= 0, example[0, offsets.clip(0)], example[(-offsets).clip(0), 0])
    return matrix
