"""What goes into a model and what comes out of it, in plain values: all that anybody must know of data that are gone.

A run keeps it, and so does an exported file, so that both can be used without the data. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, Self


@dataclass(frozen=True)
class Scale:
    """A number for each column to take away and one to divide by: from the user's units to the model's."""

    offset: tuple[float, ...]
    factor: tuple[float, ...]
    """Never 0."""


@dataclass(frozen=True)
class Signature:
    """What a sequence consists of, and what is to be said about it.

    A step is either numbers (``features`` is positive) or a token (``vocabulary`` is not empty). What is said is either
    a class (``labels`` is not empty) or numbers (``targets`` is not empty).
    """

    features: int = 0
    """Numbers in a step; 0 where steps are tokens."""
    window: int = 0
    """Rows of history that the model was trained with, where sequences are pieces of a longer one."""
    columns: tuple[str, ...] = ()
    """The names of these numbers, where they have any."""
    input_scale: Scale | None = None
    """From the user's numbers to those that the network sees."""
    vocabulary: tuple[str, ...] = ()
    """Every token, by its id."""
    tokenizer: Literal["", "words", "characters"] = ""
    """How text becomes tokens, where it does; see `zoo.data.tokens`."""
    lengths: bool = False
    """Whether sequences have lengths of their own, so that a batch must be told them."""
    labels: tuple[str, ...] = ()
    """The classes, by their number."""
    by_step: bool = False
    """Whether each step has an answer of its own."""
    targets: tuple[str, ...] = ()
    """The numbers to say, by name."""
    target_scale: Scale | None = None
    """From the user's target numbers to those that the network gives."""
    horizon: int = 0
    """How many steps of the future are to be told; 0 where it is something of the present."""
    ordered: bool = False
    """Whether the sequences of each part follow each other in time."""

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """The id of each token of the vocabulary; made once, since it takes longer than a text's tokens do."""
        return {token: number for number, token in enumerate(self.vocabulary)}

    @cached_property
    def marks(self) -> tuple[str, ...]:
        """The tokens of more than one character, such as the one for a hidden character."""
        return tuple(token for token in self.vocabulary if len(token) > 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `to_dict` gave, even if it has been JSON in between.

        Raises:
            TypeError: where it is something else.
        """
        scales = {
            name: Scale(*(tuple(map(float, values[name][part])) for part in ("offset", "factor")))
            for name in ("input_scale", "target_scale")
            if values.get(name) is not None
        }
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list | tuple)}
        return cls(**{**values, **lists, **scales})
