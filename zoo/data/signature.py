"""Shape and meaning of a model's inputs and targets, in plain values.

A run and an exported file keep the signature, so that both can be used without the data. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, Self

from zoo.data.tables.dialect import Dialect

IGNORED = -100
"""Target of a step that has none; loss and metrics leave the step out. The default ``ignore_index`` of torch."""


@dataclass(frozen=True)
class Scale:
    """Linear map between the user's units and the network's, by column: scaled = (value - offset) / factor."""

    offset: tuple[float, ...]
    """One for each column, in the user's units."""
    factor: tuple[float, ...]
    """One for each column, in the user's units, never 0."""


@dataclass(frozen=True)
class TextForm:
    """Where a table has its texts, and how it is written."""

    column: str = "text"
    """Name of the column."""
    dialect: Dialect = field(default_factory=Dialect)
    """What the spec sets of it."""


@dataclass(frozen=True)
class Signature:
    """Shape and meaning of the inputs and targets of a data set.

    A step of the input is either a row of numbers or one token. The fields of the input:

    - numbers: ``features``; optionally ``columns``, ``input_scale``, ``window``;
    - tokens: ``vocabulary``; for text, ``tokenizer`` and optionally ``subwords`` and ``text``;
    - both: ``lengths`` where sequences differ in length, ``ordered`` where they follow each other in time.

    The fields of the target decide which task fits:

    - ``classification``: ``labels``;
    - ``tagging`` and ``language_modelling``: ``labels`` and ``by_step``;
    - ``regression``: ``targets``; optionally ``target_scale``;
    - ``forecasting``: ``targets`` and ``horizon``; optionally ``target_scale``.
    """

    features: int = 0
    """Numbers per step; 0 where steps are tokens."""
    window: int = 0
    """Steps of each sequence, where sequences are windows over a longer series; ``zoo predict`` then reads the last
    ``window`` rows of a CSV file, and all rows where it is 0."""
    columns: tuple[str, ...] = ()
    """Names of the features, in their order; empty where they have none."""
    input_scale: Scale | None = None
    """Scale of the features, with ``features`` columns; None where the network reads them unscaled."""
    vocabulary: tuple[str, ...] = ()
    """The tokens; the position of a token is its id."""
    tokenizer: Literal["", "words", "words2", "subwords", "characters"] = ""
    """Rule that splits a text into tokens, see `zoo.data.tokens`; empty where the input is not text."""
    subwords: str | None = None
    """JSON of the tokeniser ``subwords``; None for the others."""
    text: TextForm | None = None
    """Place of the texts in a table; None where the input is not labelled texts."""
    lengths: bool = False
    """Whether sequences differ in length: each `zoo.Split` has ``lengths``, and the exported file takes them."""
    labels: tuple[str, ...] = ()
    """Names of the classes; the position of a name is the index of the class."""
    by_step: bool = False
    """Whether each step has a class of its own, rather than each sequence."""
    targets: tuple[str, ...] = ()
    """Names of the numbers to predict."""
    target_scale: Scale | None = None
    """Scale of the targets, with as many columns as ``targets``; None where the network predicts them unscaled."""
    horizon: int = 0
    """Number of future steps to forecast; 0 where the targets are not in the future."""
    ordered: bool = False
    """Whether the sequences of each part follow each other in time, so that predictions can be drawn as a series."""

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """The id of each token; cached, since making it takes longer than encoding a text."""
        return {token: number for number, token in enumerate(self.vocabulary)}

    @cached_property
    def marks(self) -> tuple[str, ...]:
        """The tokens of more than one character, such as ``<mask>`` for a hidden character."""
        return tuple(token for token in self.vocabulary if len(token) > 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the signature of a dictionary from `to_dict`, also one that has been written to JSON and read back.

        Raises:
            TypeError: ``values`` is not such a dictionary.
        """
        scales = {
            name: Scale(*(tuple(map(float, values[name][part])) for part in ("offset", "factor")))
            for name in ("input_scale", "target_scale")
            if values.get(name) is not None
        }
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list | tuple)}
        texts = {} if values.get("text") is None else {"text": _text_form(values["text"])}
        return cls(**{**values, **lists, **scales, **texts})


def _text_form(values: Mapping[str, Any]) -> TextForm:
    """Return the `TextForm` of its dictionary."""
    dialect: dict[str, Any] = dict(values["dialect"])
    if isinstance(marks := dialect["null_values"], list):
        dialect["null_values"] = tuple(marks)
    return TextForm(values["column"], Dialect(**dialect))
