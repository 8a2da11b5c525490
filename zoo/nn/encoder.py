"""Encoders: the vectors that the network reads, computed from the numbers or tokens of each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from zoo.config import Config, Fraction, Size
from zoo.data.signature import Scale, Signature
from zoo.errors import SpecError

LARGEST_ONE_HOT = 1024
"""Largest vocabulary for one-hot vectors; an embedding learns shorter ones."""
USUAL_ONE_HOT = 10
"""Most categories of a feature that become one-hot vectors unless the spec states otherwise; more are embedded."""
MOST_EMBEDDED = 50
"""Largest default width of an embedded category; it is half the number of categories for fewer."""


class Normaliser(nn.Module):
    """Encoder of numbers: (x - mean) / std, from the user's units to the network's.

    The input may have any real dtype; the output is floating-point.

    Args:
        scale: mean (offset) and standard deviation (factor) of each feature.
        groups: those of each group, where groups have their own; ``scale`` is then that of unknown groups.
    """

    mean: Tensor
    """(features,); with groups (groups + 1, features), by id."""
    std: Tensor
    """Of the shape of the mean."""

    def __init__(self, scale: Scale, groups: Sequence[Scale] = ()) -> None:
        super().__init__()
        mean, std = scale_table(scale, groups)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.tokens, self.grouped = 0, bool(groups)
        self.output_size = len(scale.offset)

    def forward(self, x: Tensor, group: Tensor | None = None) -> Tensor:
        """Return the normalised features (..., features) of x (..., features).

        Args:
            x: features in the user's units.
            group: id of the group of each sequence, (batch,) int64, where groups have scales of their own; x is then
                (batch, time, features).
        """
        if group is None:
            return (x - self.mean) / self.std
        return (x - self.mean[group][:, None]) / self.std[group][:, None]


class OneHot(nn.Module):
    """Encoder of tokens: a vector with a 1 at the index of the token and 0 elsewhere.

    Args:
        tokens: size of the vocabulary.
    """

    table: Tensor

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.eye(tokens), persistent=False)
        self.tokens = tokens
        self.output_size = tokens

    def forward(self, x: Tensor) -> Tensor:
        """Return the one-hot vectors (batch, time, tokens) of token indices x (batch, time), int64."""
        return self.table[x]


class Embedding(nn.Module):
    """Encoder of tokens: a learnt vector for each token, with dropout.

    Args:
        tokens: size of the vocabulary.
        size: width of the vectors.
        dropout: share of the vectors' values that training sets to zero.
    """

    def __init__(self, tokens: int, size: int, dropout: float) -> None:
        super().__init__()
        self.table = nn.Embedding(tokens, size)
        self.dropout = nn.Dropout(dropout)
        self.tokens = tokens
        self.output_size = size

    def forward(self, x: Tensor) -> Tensor:
        """Return the vectors (batch, time, size) of token indices x (batch, time), int64."""
        vectors: Tensor = self.dropout(self.table(x))
        return vectors


class TableEncoder(nn.Module):
    """Encoder of steps with categories: scaled numbers, followed by a vector for each category.

    The id 0 stands for an unknown category and has a vector of its own. Training data may contain no unknown category,
    so training replaces a share of the known ones by it: the model then learns to predict without them. A category is
    replaced at all steps of a sequence, as a store or a machine that is unknown is so at each step.

    Args:
        numbers: scales the features that are numbers, in their order; None where there are none.
        vectors: for each feature, the encoder of its ids, 0 included; None for a number.
        unknown: share of the categories that training replaces by unknown ones.
        group: index of the feature that contains the group, where groups have scales of their own.
    """

    number_places: Tensor
    category_places: Tensor

    def __init__(
        self,
        numbers: Normaliser | None,
        vectors: Sequence[OneHot | Embedding | None],
        unknown: float = 0.0,
        group: int | None = None,
    ) -> None:
        super().__init__()
        categories = [place for place, vector in enumerate(vectors) if vector is not None]
        plain = [place for place, vector in enumerate(vectors) if vector is None]
        self.register_buffer("number_places", torch.tensor(plain, dtype=torch.int64), persistent=False)
        self.register_buffer("category_places", torch.tensor(categories, dtype=torch.int64), persistent=False)
        self.numbers = numbers
        self.vectors = nn.ModuleList(vector for vector in vectors if vector is not None)
        self.unknown, self.group = unknown, group
        self.tokens, self.features = 0, len(vectors)
        self.categories = tuple(0 if vector is None else vector.tokens for vector in vectors)
        """Number of ids of each feature; 0 for a number."""
        widths = [vector.output_size for vector in vectors if vector is not None]
        self.output_size = sum(widths) + len(plain)

    def forward(self, x: Tensor) -> Tensor:
        """Return the vectors (batch, time, output_size) of steps x (batch, time, features)."""
        ids = x.index_select(-1, self.category_places).long()
        if self.training and self.unknown:
            kept = torch.rand(len(x), 1, ids.shape[-1], device=x.device) >= self.unknown
            ids = ids * kept
        parts: list[Tensor] = []
        if self.numbers is not None:
            group = group_ids(x, self.group) if self.group is not None and self.numbers.grouped else None
            parts.append(self.numbers(x.index_select(-1, self.number_places), group))
        parts += [vector(ids[..., number]) for number, vector in enumerate(self.vectors)]
        return torch.cat(parts, -1)


def group_ids(x: Tensor, feature: int) -> Tensor:
    """Return the id of the group of each sequence of x (batch, time, features), that of its first step; (batch,)."""
    return x[:, 0, feature].long()


def scale_table(scale: Scale, groups: Sequence[Scale]) -> tuple[Tensor, Tensor]:
    """Return offsets and factors: (columns,), or with groups (groups + 1, columns), with those of unknown groups first.

    Args:
        scale: that of unknown groups, or the only one.
        groups: the scale of each group.
    """
    if not groups:
        return torch.tensor(scale.offset), torch.tensor(scale.factor)
    rows = [scale, *groups]
    return torch.tensor([row.offset for row in rows]), torch.tensor([row.factor for row in rows])


Encoder = Normaliser | OneHot | Embedding | TableEncoder
"""First part of a model: ``tokens`` is the size of its vocabulary, 0 for numbers; ``output_size`` is its width."""


def encoded_names(encoder: Encoder, signature: Signature) -> tuple[str, ...]:
    """Return the names of the numbers of an encoder's vectors; empty for tokens, and where the features have none."""
    if not isinstance(encoder, TableEncoder) or not signature.columns:
        return signature.columns
    vectors, result = iter(encoder.vectors), []
    for column, categories in zip(signature.columns, signature.categories, strict=True):
        if not categories:
            continue
        vector = next(vectors)
        assert isinstance(vector, OneHot | Embedding)
        one_hot = isinstance(vector, OneHot)
        result += [f"{column} {name}" for name in (("unknown", *categories) if one_hot else range(vector.output_size))]
    numbers = [name for name, count in zip(signature.columns, encoder.categories, strict=True) if not count]
    return (*numbers, *result)


class NormaliserConfig(Config):
    """Numbers, scaled with the mean and standard deviation that the data source gives."""

    name: Literal["normaliser"]


class OneHotConfig(Config):
    """Tokens as vectors with a single 1."""

    name: Literal["one_hot"]


class EmbeddingConfig(Config):
    """Tokens as learnt vectors."""

    name: Literal["embedding"]
    size: Size = 64
    """Width of a token's vector."""
    dropout: Fraction = 0.0
    """Share of the vectors' values that training sets to zero."""


class TableEncoderConfig(Config):
    """Numbers, scaled, beside categories as vectors."""

    name: Literal["table"]
    categories: Literal["one_hot", "embedding"] | None = None
    """Vectors of the categories: with a single 1, or learnt. By default a feature of up to 10 categories becomes
    one-hot, and one of more is embedded."""
    size: Size | None = None
    """Width of a learnt vector. By default half the number of categories, rounded up, and at most 50."""
    unknown: Fraction = 0.05
    """Share of the categories that training replaces by the unknown one, at all steps of a sequence, so that the model
    learns to predict without them."""


EncoderConfig = Annotated[
    NormaliserConfig | OneHotConfig | EmbeddingConfig | TableEncoderConfig, Field(discriminator="name")
]


def make_encoder(config: EncoderConfig | None, signature: Signature) -> Encoder:
    """Create the encoder that a spec names, or the default for the data.

    By default numbers are normalised, categories of tables become one-hot vectors or, if many, are embedded, characters
    become one-hot vectors, and words are embedded.

    Args:
        config: the spec's ``encoder``; None for the default.
        signature: description of the data.

    Raises:
        SpecError: the encoder does not fit the data.
    """
    tokens = len(signature.vocabulary)
    if any(signature.categories):
        return _table_encoder(config, signature)
    if not tokens:
        if isinstance(config, OneHotConfig | EmbeddingConfig):
            raise SpecError(f"encoder.name: {config.name!r} is for tokens and these data are numbers; leave it out")
        none = Scale((0.0,) * signature.features, (1.0,) * signature.features)
        return Normaliser(signature.input_scale or none)
    if isinstance(config, NormaliserConfig | TableEncoderConfig):
        raise SpecError(f"encoder.name: {config.name!r} is for numbers and these data are tokens; use 'embedding'")
    if config is None:
        words = signature.tokenizer == "words" or tokens > LARGEST_ONE_HOT
        config = EmbeddingConfig(name="embedding") if words else OneHotConfig(name="one_hot")
    if isinstance(config, EmbeddingConfig):
        return Embedding(tokens, config.size, config.dropout)
    if tokens > LARGEST_ONE_HOT:
        raise SpecError(f"encoder.name: 'one_hot' would make {tokens:,} numbers of each token; use 'embedding'")
    return OneHot(tokens)


def _table_encoder(config: EncoderConfig | None, signature: Signature) -> TableEncoder:
    """Create the encoder of data with categories.

    Raises:
        SpecError: the encoder of the spec is another one, or its options do not fit the categories.
    """
    config = config or TableEncoderConfig(name="table")
    if not isinstance(config, TableEncoderConfig):
        raise SpecError(f"encoder.name: {config.name!r} does not fit, since these data have categories; use 'table'")
    if config.size is not None and config.categories == "one_hot":
        raise SpecError("encoder.size: is the width of embedded categories; leave it out beside categories: one_hot")
    counts = signature.category_counts
    plain = [place for place, count in enumerate(counts) if not count]
    none = Scale((0.0,) * len(counts), (1.0,) * len(counts))
    numbers = Normaliser(
        _columns(signature.input_scale or none, plain), [_columns(scale, plain) for scale in signature.input_scales]
    )
    vectors = [_vectors(count, place, config) if count else None for place, count in enumerate(counts)]
    return TableEncoder(numbers if plain else None, vectors, config.unknown, signature.group)


def _columns(scale: Scale, places: Sequence[int]) -> Scale:
    """Return the scale of some of the columns."""
    return Scale(*(tuple(part[place] for place in places) for part in (scale.offset, scale.factor)))


def _vectors(count: int, place: int, config: TableEncoderConfig) -> OneHot | Embedding:
    """Return the encoder of the ids of one feature."""
    names = count - 1
    if (config.categories or ("one_hot" if names <= USUAL_ONE_HOT else "embedding")) == "embedding":
        return Embedding(count, config.size or min(MOST_EMBEDDED, (names + 1) // 2), 0.0)
    if count > LARGEST_ONE_HOT:
        raise SpecError(
            f"encoder.categories: 'one_hot' would make {count:,} numbers of feature [{place}]; use 'embedding'"
        )
    return OneHot(count)
