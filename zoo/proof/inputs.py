"""Inputs of a model as batches of rows: the different rows of a batch, and parts of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np

from zoo.parity import Array


class Input(NamedTuple):
    """One input of a model."""

    x: Array
    """(batch, time, features) numbers or (batch, time) tokens."""
    lengths: Array | None = None
    """(batch,) valid steps of each sequence; None where all are full."""
    states: Mapping[str, Array] | None = None
    """Initial states by name, as `zoo.Model.outputs` takes them; floating ones are taken as exact."""

    def rows(self, indices: Array | slice) -> Self:
        """Return the rows of the batch at the given indices."""
        return self._replace(
            x=self.x[indices],
            lengths=None if self.lengths is None else self.lengths[indices],
            states=None if self.states is None else {name: state[indices] for name, state in self.states.items()},
        )

    def distinct(self) -> tuple[Self, Array]:
        """Return the different rows, and for each row of the batch the index of its equal among them.

        Rows are equal where every byte of the input, the length and the states is. A model computes rows
        independently, so that equal rows have equal results.
        """
        arrays = [self.x, *([] if self.lengths is None else [self.lengths]), *(self.states or {}).values()]
        first: dict[tuple[bytes, ...], int] = {}
        places = [first.setdefault(tuple(array[row].tobytes() for array in arrays), row) for row in range(len(self.x))]
        chosen, place = np.unique(places, return_inverse=True)
        return self.rows(chosen), place


def concatenate(inputs: Sequence[Input]) -> Input:
    """Return several inputs of the same number of steps as one batch."""
    first = inputs[0]
    lengths = None if first.lengths is None else np.concatenate([np.asarray(item.lengths) for item in inputs])
    states = None
    if first.states is not None:
        states = {name: np.concatenate([(item.states or {})[name] for item in inputs]) for name in first.states}
    return Input(np.concatenate([item.x for item in inputs]), lengths, states)
