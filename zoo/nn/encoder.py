"""Encoders: the vectors that the network reads, computed from the numbers or tokens of each step."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from zoo.config import Config, Fraction, Size
from zoo.data.signature import Scale, Signature
from zoo.errors import SpecError

LARGEST_ONE_HOT = 1024
"""Largest vocabulary for one-hot vectors; an embedding learns shorter ones."""


class Normaliser(nn.Module):
    """Encoder of numbers: (x - mean) / std, from the user's units to the network's.

    The input may have any real dtype; the output is floating-point.

    Args:
        scale: mean (offset) and standard deviation (factor) of each feature.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(scale.offset))
        self.register_buffer("std", torch.tensor(scale.factor))
        self.tokens = 0
        self.output_size = len(scale.offset)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised features (..., features) of x (..., features)."""
        return (x - self.mean) / self.std


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


Encoder = Normaliser | OneHot | Embedding
"""First part of a model: ``tokens`` is the size of its vocabulary, 0 for numbers; ``output_size`` is its width."""


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
    vectors: str | None = None
    """A file with vectors to start from, in the text form of word2vec or GloVe, relative to the current folder. Its
    vectors have 'size' numbers. Tokens without one get initial values as without a file."""


EncoderConfig = Annotated[NormaliserConfig | OneHotConfig | EmbeddingConfig, Field(discriminator="name")]


def make_encoder(config: EncoderConfig | None, signature: Signature) -> Encoder:
    """Create the encoder that a spec names, or the default for the data.

    By default numbers are normalised, characters become one-hot vectors, and words and subwords are embedded.

    Args:
        config: the spec's ``encoder``; None for the default.
        signature: description of the data.

    Raises:
        SpecError: the encoder does not fit the data.
    """
    tokens = len(signature.vocabulary)
    if not tokens:
        if isinstance(config, OneHotConfig | EmbeddingConfig):
            raise SpecError(f"encoder.name: {config.name!r} is for tokens and these data are numbers; leave it out")
        none = Scale((0.0,) * signature.features, (1.0,) * signature.features)
        return Normaliser(signature.input_scale or none)
    if isinstance(config, NormaliserConfig):
        raise SpecError("encoder.name: 'normaliser' is for numbers and these data are tokens; use 'embedding'")
    if config is None:
        words = signature.tokenizer not in ("", "characters") or tokens > LARGEST_ONE_HOT
        config = EmbeddingConfig(name="embedding") if words else OneHotConfig(name="one_hot")
    if isinstance(config, EmbeddingConfig):
        return Embedding(tokens, config.size, config.dropout)
    if tokens > LARGEST_ONE_HOT:
        raise SpecError(f"encoder.name: 'one_hot' would make {tokens:,} numbers of each token; use 'embedding'")
    return OneHot(tokens)
