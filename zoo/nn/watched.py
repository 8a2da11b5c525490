"""Values inside a cell's step, recorded while the cell runs: gates and the like, by the names that the cell gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from zoo.nn.cell import Cell


@contextmanager
def watched(cell: Cell) -> Iterator[dict[str, list[Tensor]]]:
    """Record the values that a cell passes to `Cell.watch`, while the context is active.

    Yields:
        For each name the values (batch, n), one for each step that the cell has run, in the order of reading. Names
        are in the order in which the step computes them.
    """
    values: dict[str, list[Tensor]] = {}

    def recording(name: str, value: Tensor) -> Tensor:
        values.setdefault(name, []).append(value)
        return value

    cell.__dict__["watch"] = recording  # on this instance only; it hides the method of the class
    try:
        yield values
    finally:
        del cell.__dict__["watch"]
