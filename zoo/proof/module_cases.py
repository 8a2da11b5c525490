"""Cases of the proof of a module: which sizes are free, and at which of them the file and the module are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from zoo.errors import RunError
from zoo.parity import Array
from zoo.proof.cases import Extent
from zoo.proof.module_inputs import Argument, Drawer, Kind, Sizes
from zoo.proof.shapes import DRAWN, LARGEST_BATCH, THOROUGH, log_uniform
from zoo.runtime.tensors import TensorInput

LISTED: tuple[tuple[int, int | None], ...] = ((3, None), (1, 1), (3, 2), (1, 50), (2, 200))
"""Rows, and each other free size; None for that of the example."""
LONGEST, FEWEST = 4, 200
"""Largest drawn size, in units of the example's; at least so many."""
MOST_STEPS = 4000
"""Largest drawn size, whatever the example's. Examples with more are tried once, since each step takes time."""
WORK = 16
"""Most numbers of an input, in units of the example's; at least `FEWEST_NUMBERS`."""
FEWEST_NUMBERS = 100_000
OFFSETS = 8
"""Sizes beyond a chosen one that are tried where a module refuses the latter, as one that merges pairs of steps."""
LEAST_TAKEN = 2
"""Other sizes that a module must take where one counts as free."""

Run = Callable[[Sequence[Array]], "list[Array] | None"]
"""Function that runs the module in float32; None where it raises an error."""


@dataclass(frozen=True)
class ModuleCase:
    """One input of a module."""

    sizes: Sizes
    batch: int
    time: int
    """The largest of the other free sizes; 1 where there is none."""
    inputs: Kind
    arrays: Sequence[Array]
    """The tensors, in the order of ``forward``."""
    outputs: Sequence[Array]
    """torch's float32 results."""
    drawn: bool = False

    def __str__(self) -> str:
        return ", ".join([*(f"{name} {size}" for name, size in self.sizes.items()), f"{self.inputs} inputs"])

    @property
    def alike(self) -> tuple[int, ...]:
        """The sizes."""
        return tuple(self.sizes.values())

    @property
    def numbers(self) -> int:
        """How many numbers its tensors have."""
        return sum(array.size for array in self.arrays)

    def to_dict(self) -> dict[str, Any]:
        """Return the case as it appears in a report, without its arrays."""
        drawn = {"drawn": True} if self.drawn else {}
        return {"batch": self.batch, "time": self.time, "sizes": dict(self.sizes), "inputs": self.inputs, **drawn}


def named_axes(
    names: Sequence[str], examples: Sequence[Sequence[Array]], inputs: Sequence[TensorInput]
) -> list[Argument]:
    """Return the arguments with the free sizes that a file declares.

    Args:
        names: names of the tensors.
        examples: the tensors of each example.
        inputs: the inputs of the file, in the order of the tensors.

    Raises:
        RunError: where the sizes of the example do not fit the file.
    """
    arguments = []
    for index, (name, item) in enumerate(zip(names, inputs, strict=True)):
        arrays = tuple(example[index] for example in examples)
        if any(array.ndim != len(item.shape) for array in arrays):
            raise RunError(f"the input {item.name} has {len(item.shape)} axes, and {name} has {arrays[0].ndim}")
        for axis, size in enumerate(item.shape):
            if isinstance(size, int) and (other := [each.shape[axis] for each in arrays if each.shape[axis] != size]):
                raise RunError(f"axis {axis} of {item.name} is fixed at {size}, and the example has {other[0]}")
        axes = tuple(
            None if isinstance(size, int) else size or f"{name}_{axis}" for axis, size in enumerate(item.shape)
        )
        arguments.append(Argument(name, arrays, axes))
    return arguments


class CaseMaker:
    """Choice of the cases.

    Args:
        arguments: the tensors, with the free sizes that the file declares.
        run: runs the module.
        extent: what is drawn beside the listed sizes.
    """

    def __init__(self, arguments: Sequence[Argument], run: Run, extent: Extent) -> None:
        self._run, self._extent = run, extent
        self.notes: list[str] = []
        """Remarks for the report."""
        self.arguments = list(arguments)
        self._renew()
        self._tie()

    def _renew(self) -> None:
        self.example = {name: size for argument in self.arguments for name, size in argument.sizes().items()}
        self.batch = _batch_of(self.arguments)
        self.drawer = Drawer(self.arguments, self.batch, self._extent.seed or 0)

    def _tie(self) -> None:
        """Give sizes that vary together one name, and fix those that cannot vary; the module decides."""
        alone = {name for name in self.example if self._varies([name])}
        names: dict[str | None, str | None] = {}
        for name in self.example:
            if name in alone or name in names:
                continue
            equal = [other for other in self.example if self.example[other] == self.example[name]]
            others = [[other] for other in equal if other != name and names.get(other, other) == other]
            groups = [*others, [other for other in equal if other != name and other not in alone]]
            tied = next((group for group in groups if group and self._varies([name, *group])), None)
            names |= {name: None} if tied is None else dict.fromkeys((name, *tied), tied[0])
        if not names:
            return
        self.notes += [
            f"{argument.name}: axis {axis} has the size {self.example[name]} in every input, since the module takes "
            "no other"
            for argument in self.arguments
            for axis, name in enumerate(argument.axes)
            if name is not None and names.get(name, name) is None
        ]
        self.arguments = [
            replace(each, axes=tuple(names.get(name, name) for name in each.axes)) for each in self.arguments
        ]
        self._renew()

    def _varies(self, names: Sequence[str]) -> bool:
        """Return whether the module takes other sizes; a single one may be an oversight of a fused kernel of torch."""
        size = self.example[names[0]]
        tried = (size + 1, size + 2, 2 * size, 3 * size, 4 * size)
        taken = (self.case("data", {**self.example, **dict.fromkeys(names, more)}) for more in tried)
        return len(list(islice((case for case in taken if case is not None), LEAST_TAKEN))) == LEAST_TAKEN

    def case(self, inputs: Kind, sizes: Sizes, *, drawn: bool = False) -> ModuleCase | None:
        """Draw a case of these sizes; None where the module takes none."""
        drawer, sizes = self.drawer, {name: sizes[name] for name in self.example}
        for descending in dict.fromkeys((drawer.descending, True)):
            before, drawer.descending = drawer.descending, descending
            arrays = drawer.draw(inputs, sizes)
            outputs = self._run(arrays)
            if outputs is not None:
                others = [size for name, size in sizes.items() if name != self.batch]
                batch = 1 if self.batch is None else sizes[self.batch]
                return ModuleCase(sizes, batch, max(others, default=1), inputs, arrays, outputs, drawn)
            drawer.descending = before
        return None

    def cases(self) -> Iterator[ModuleCase]:
        """Yield all cases: two for each listed size, then the drawn ones."""
        for rows, other in LISTED:
            for sizes in self._listed(rows, other):
                first = self.case("data", sizes)
                second = self.case("wide", first.sizes) if first is not None and first.time <= MOST_STEPS else None
                yield from (each for each in (first, second) if each is not None)
                if first is not None and other is not None:
                    break
        if not self.example:
            yield from (each for each in (self.case("wide", {}), self.case("extreme", {})) if each is not None)
            return
        kinds: tuple[Kind, ...] = ("data", "wide", "extreme")
        for number, sizes in enumerate(self._drawn()):
            for more in range(OFFSETS):
                raised = {name: size + (0 if name == self.batch else more) for name, size in sizes.items()}
                if case := self.case(kinds[number % 3], raised, drawn=True):
                    yield case
                    break

    def _listed(self, rows: int, other: int | None) -> Iterator[dict[str, int]]:
        """Yield sizes to try, until the module takes some of them: all others alike, then each alone."""
        others = [name for name in self.example if name != self.batch]
        own = {} if self.batch is None else {self.batch: rows}
        if other is None:
            yield dict(self.example)
            longest = max((self.example[name] for name in others), default=1)
            if self.batch is not None and self.example[self.batch] != rows and longest <= MOST_STEPS:
                yield {**self.example, **own}
            return
        # Different sizes, so that a file cannot confuse them.
        tried = {name: other + index for index, name in enumerate(others)}
        for sizes in ({**tried, **own}, *({**self.example, **own, name: other} for name in others)):
            if self._work(sizes) <= self._most():
                yield sizes

    def _drawn(self) -> Iterator[dict[str, int]]:
        count = DRAWN * (THOROUGH if self._extent.thorough else 1)
        generator = self.drawer.generator
        columns: dict[str, Sequence[int]] = {}
        for name, size in self.example.items():
            largest = LARGEST_BATCH if name == self.batch else min(max(LONGEST * size, FEWEST), MOST_STEPS)
            columns[name] = [int(each) for each in log_uniform(largest, count, generator)]
        for index in range(count):
            sizes = {name: column[index] for name, column in columns.items()}
            while self._work(sizes) > self._most():
                widest = max(sizes, key=lambda name: sizes[name])
                sizes[widest] = max(1, sizes[widest] // 2)
            yield sizes

    def _work(self, sizes: Sizes) -> int:
        """Return how many numbers the tensors of a case have."""
        return sum(int(np.prod(argument.shape(sizes))) for argument in self.arguments)

    def _most(self) -> int:
        return max(FEWEST_NUMBERS, WORK * self._work(self.example))


def _batch_of(arguments: Sequence[Argument]) -> str | None:
    """Return the size that counts rows: the one named so, else the first size of most tensors."""
    names = [name for argument in arguments for name in argument.axes if name is not None]
    if by_name := next((name for name in names if "batch" in name.lower()), None):
        return by_name
    first = [argument.axes[0] for argument in arguments if argument.axes and argument.axes[0] is not None]
    return max(first, key=first.count, default=None)


def describe(arguments: Sequence[Argument]) -> Mapping[str, Any]:
    """Return the inputs as they appear in a report: dtype and sizes, a name for a free one."""
    return {
        argument.name: {
            "dtype": str(argument.examples[0].dtype),
            "shape": [name or size for name, size in zip(argument.axes, argument.examples[0].shape, strict=True)],
        }
        for argument in arguments
    }
