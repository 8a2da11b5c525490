"""Shape and meaning of a model's inputs and targets, in plain values.

A run and an exported file keep the signature, so that both can be used without the data. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, Self

from zoo.data.preparation.form import TableForm
from zoo.data.recordings.form import RecordingForm
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

    - numbers: ``features``; optionally ``columns``, ``categories``, ``input_scale``, ``window``;
    - tokens: ``vocabulary``; for text, ``tokenizer`` and optionally ``subwords`` and ``text``;
    - both: ``lengths`` where sequences differ in length, ``ordered`` where they follow each other in time.

    The fields of the target decide which task fits:

    - ``classification``: ``labels``;
    - ``multilabel``: ``labels`` and ``multilabel``;
    - ``tagging`` and ``language_modelling``: ``labels`` and ``by_step``;
    - ``regression``: ``targets``; optionally ``target_scale``;
    - ``step_regression``: ``targets`` and ``by_step``; optionally ``target_scale``;
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
    categories: tuple[tuple[str, ...], ...] = ()
    """For each feature the names of its categories, empty for a number; the whole is empty where all are numbers. A
    feature with categories contains ids: k for the k-th name, counted from 1, and 0 for a value without a name, an
    unknown category. Its place in ``input_scale`` is not used."""
    group: int | None = None
    """Index of the feature whose category is the group of the sequence, the same at each of its steps, where groups
    have scales of their own; else None."""
    input_scales: tuple[Scale, ...] = ()
    """Scale of the features in each group, by its id less 1; ``input_scale`` is that of unknown groups."""
    target_scales: tuple[Scale, ...] = ()
    """Scale of the targets in each group, by its id less 1; ``target_scale`` is that of unknown groups."""
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
    """Whether each step has a class, or numbers, of its own, rather than each sequence."""
    multilabel: bool = False
    """Whether a sequence may have several of the labels, or none, rather than exactly one of them."""
    targets: tuple[str, ...] = ()
    """Names of the numbers to predict."""
    target_scale: Scale | None = None
    """Scale of the targets, with as many columns as ``targets``; None where the network predicts them unscaled."""
    horizon: int = 0
    """Number of future steps to forecast; 0 where the targets are not in the future."""
    form: TableForm | RecordingForm | None = None
    """How the rows of tables become sequences of series or of recordings, for ``zoo predict``; None where sequences are
    read as they are."""
    ordered: bool = False
    """Whether the sequences of each part follow each other in time, so that predictions can be drawn as a series."""

    @property
    def category_counts(self) -> tuple[int, ...]:
        """Number of ids of each feature, the unknown one included; 0 for a number, and empty for tokens."""
        return tuple(len(names) and len(names) + 1 for names in self.categories or ((),) * self.features)

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
        scales: dict[str, Any] = {
            name: _scale(values[name]) for name in ("input_scale", "target_scale") if values.get(name) is not None
        }
        scales |= {name: tuple(map(_scale, values.get(name, ()))) for name in ("input_scales", "target_scales")}
        form = {} if values.get("form") is None else {"form": _form(values["form"])}
        lists = {name: _tuples(value) for name, value in values.items() if isinstance(value, list | tuple)}
        texts = {} if values.get("text") is None else {"text": _text_form(values["text"])}
        return cls(**{**values, **lists, **scales, **form, **texts})


def _form(values: Mapping[str, Any]) -> TableForm | RecordingForm:
    """Return the form of a dictionary of its fields."""
    return (RecordingForm if "reading" in values else TableForm).from_dict(values)


def _scale(values: Mapping[str, Any]) -> Scale:
    """Return the scale of a dictionary of its fields."""
    return Scale(*(tuple(map(float, values[part])) for part in ("offset", "factor")))


def _tuples(values: Any) -> Any:
    """Return lists, at any depth, as tuples, and other values as they are."""
    return tuple(map(_tuples, values)) if isinstance(values, list | tuple) else values


def _text_form(values: Mapping[str, Any]) -> TextForm:
    """Return the `TextForm` of its dictionary."""
    return TextForm(values["column"], Dialect.from_dict(values["dialect"]))
