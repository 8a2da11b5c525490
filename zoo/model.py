"""The model: encoder -> stack -> pooling -> head, and the readout that turns scores into what a user sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.pooling import Pooling, pool
from zoo.recurrent import Layer, Stack

if TYPE_CHECKING:
    from collections.abc import Mapping


class Normaliser(nn.Module):
    """From the user's units to zero mean and unit variance: (x - mean) / std. Any real dtype in, floating out."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, x: Tensor) -> Tensor:
        """(..., features) -> (..., features)"""
        return (x - self.mean) / self.std


class SoftmaxReadout(nn.Module):
    """Class scores -> ``logits`` (the scores themselves) and ``probabilities`` (their softmax)."""

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """(batch, classes) -> two tensors (batch, classes)"""
        return {"logits": scores, "probabilities": torch.softmax(scores, -1)}


class Model(nn.Module):
    """A recurrent network from the user's units to named outputs.

    Args:
        encoder: (batch, time, raw features) -> (batch, time, features).
        stack: the recurrent layers.
        pooling: how the sequence of outputs becomes one vector.
        head: (batch, stack.output_size) -> scores.
        readout: scores -> named outputs.
    """

    def __init__(self, encoder: nn.Module, stack: Stack, pooling: Pooling, head: nn.Module, readout: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.stack = stack
        self.pooling: Pooling = pooling
        self.head = head
        self.readout = readout

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """x (batch, time, features) in the user's units -> scores (batch, n)."""
        encoded = self.encoder(x).transpose(0, 1)
        outputs, last, _ = self.stack(encoded, lengths)
        scores: Tensor = self.head(pool(outputs, last, self.pooling, lengths))
        return scores

    def outputs(self, x: Tensor, lengths: Tensor | None = None) -> Mapping[str, Tensor]:
        """x (batch, time, features) in the user's units -> what an exported graph gives, by name."""
        named: dict[str, Tensor] = self.readout(self(x, lengths))
        return named

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def parameter_count(self) -> int:
        """How many numbers training may change."""
        return sum(parameter.numel() for parameter in self.parameters())

    def layers(self) -> list[Layer]:
        """The recurrent layers from the input to the output."""
        return self.stack.ordered_layers
