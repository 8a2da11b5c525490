"""Domain of a model's input: which numbers are tokens or ids of categories, so that a proof draws only valid ones."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from zoo.nn.encoder import TableEncoder
from zoo.nn.model import Model
from zoo.nn.readout import RescaleReadout
from zoo.parity import Array


class Domain(NamedTuple):
    """Values that a step of an input may have."""

    tokens: int = 0
    """Size of the vocabulary; 0 where steps are numbers."""
    categories: tuple[int, ...] = ()
    """Number of ids of each feature, 0 for a number; empty where all features are numbers."""
    group: int | None = None
    """Index of the feature that is the same at all steps of a sequence, its group, where groups have scales."""
    groups: tuple[int, ...] = ()
    """Ids of all groups in the order of the scales of their targets."""

    @classmethod
    def of(cls, model: Model) -> Self:
        """Return the domain of a model's input."""
        encoder = model.encoder
        if not isinstance(encoder, TableEncoder):
            return cls(encoder.tokens)
        if encoder.group is None:
            return cls(0, encoder.categories)
        order = np.arange(encoder.categories[encoder.group])
        if isinstance(model.readout, RescaleReadout) and model.readout.grouped:
            order = np.log(np.abs(model.readout.factor.double().numpy())).sum(1).argsort(kind="stable")
        return cls(0, encoder.categories, encoder.group, tuple(order.tolist()))

    @property
    def has_numbers(self) -> bool:
        """Whether some feature is a number."""
        return not self.tokens and (not self.categories or 0 in self.categories)

    def numbers(self, x: Array) -> Array:
        """Return the features of x (..., features) that are numbers; x itself where all of them are."""
        if not self.categories:
            return x
        return x[..., [place for place, count in enumerate(self.categories) if not count]]

    def set_numbers(self, x: Array, values: Array) -> None:
        """Write values, as `numbers` returns them, into the features of x that are numbers."""
        places = [place for place, count in enumerate(self.categories) if not count]
        x[..., places if self.categories else slice(None)] = values

    def draw_ids(self, x: Array, generator: np.random.Generator) -> None:
        """Write ids, uniform over each feature's, into the features of x (rows, steps, features) with categories."""
        for place, count in enumerate(self.categories):
            if count:
                x[..., place] = generator.integers(count, size=x.shape[:2])
        self.settle(x)

    def settle(self, x: Array) -> None:
        """Give each sequence of x (rows, steps, features) the group of its first step at all steps."""
        if self.group is not None:
            x[..., self.group] = x[:, :1, self.group]

    def every_id(self, x: Array, generator: np.random.Generator) -> None:
        """Write ids into x (rows, steps, features) so that every id of every feature stands in it at least once.

        Groups stand in the order of their scales, one for each sequence.
        """
        rows, steps = x.shape[:2]
        for place, count in enumerate(self.categories):
            if count and place != self.group:
                more = generator.integers(count, size=rows * steps - count)
                x[..., place] = generator.permutation(np.concatenate([np.arange(count), more])).reshape(rows, steps)
        if self.group is not None:
            more = generator.integers(len(self.groups), size=rows - len(self.groups))
            x[..., self.group] = np.concatenate([self.groups, more])[:, None]

    def rows_of_every_id(self, steps: int) -> int:
        """Return the fewest sequences of so many steps that contain every token, or every id of every feature."""
        if self.tokens:
            return -(-self.tokens // steps)
        others = (count for place, count in enumerate(self.categories) if place != self.group)
        return max(len(self.groups), -(-max(others, default=0) // steps))


NUMBERS = Domain()
"""The domain of a model whose features are all numbers."""
