"""The encoder: what makes of a user's steps, numbers or tokens, the vectors that the network reads."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from zoo.config import Config, Fraction, Size
from zoo.data.signature import Scale, Signature
from zoo.errors import SpecError

LARGEST_ONE_HOT = 1024
"""Tokens up to which one number for each is sensible; an embedding learns shorter vectors."""


class Normaliser(nn.Module):
    """From the user's units to the network's: (x - mean) / std. Any real dtype in, floating out."""

    mean: Tensor
    std: Tensor

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(scale.offset))
        self.register_buffer("std", torch.tensor(scale.factor))
        self.tokens = 0
        self.output_size = len(scale.offset)

    def forward(self, x: Tensor) -> Tensor:
        """(..., features) -> (..., features)"""
        return (x - self.mean) / self.std


class OneHot(nn.Module):
    """A token as a vector that is 1 in the token's own place and 0 elsewhere."""

    table: Tensor

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.eye(tokens), persistent=False)
        self.tokens = tokens
        self.output_size = tokens

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time) int64 -> (batch, time, tokens)"""
        return self.table[x]


class Embedding(nn.Module):
    """A learnt vector for each token, with dropout on its numbers."""

    def __init__(self, tokens: int, size: int, dropout: float) -> None:
        super().__init__()
        self.table = nn.Embedding(tokens, size)
        self.dropout = nn.Dropout(dropout)
        self.tokens = tokens
        self.output_size = size

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time) int64 -> (batch, time, size)"""
        vectors: Tensor = self.dropout(self.table(x))
        return vectors


Encoder = Normaliser | OneHot | Embedding


class NormaliserConfig(Config):
    """Numbers, scaled as the data source says."""

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
    """Share of the vectors' numbers that training sets to zero."""


EncoderConfig = Annotated[NormaliserConfig | OneHotConfig | EmbeddingConfig, Field(discriminator="name")]


def make_encoder(config: EncoderConfig | None, signature: Signature) -> Encoder:
    """The encoder that a spec asks for; by default what suits the data: numbers are scaled, characters are one-hot
    vectors, words are embedded.

    Raises:
        SpecError: where it does not suit the data.
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
        words = signature.tokenizer == "words" or tokens > LARGEST_ONE_HOT
        config = EmbeddingConfig(name="embedding") if words else OneHotConfig(name="one_hot")
    if isinstance(config, EmbeddingConfig):
        return Embedding(tokens, config.size, config.dropout)
    if tokens > LARGEST_ONE_HOT:
        raise SpecError(f"encoder.name: 'one_hot' would make {tokens:,} numbers of each token; use 'embedding'")
    return OneHot(tokens)
