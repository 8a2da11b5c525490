"""The head: linear layers from the features of a sequence or of a step to its scores."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from zoo.config import Config, Fraction, Size

Activation = Literal["none", "relu", "tanh"]
ACTIVATIONS: Mapping[Activation, tuple[type[nn.Module], ...]] = {"none": (), "relu": (nn.ReLU,), "tanh": (nn.Tanh,)}
"""Modules of each activation."""


class HeadConfig(Config):
    """Linear layers on top of the recurrent ones; by default a single one."""

    input_activation: Activation = "none"
    """Activation before the first linear layer, applied to the output of the recurrent layers."""
    dropout: Fraction = 0.0
    """Share of the values before each linear layer that training sets to zero."""
    hidden: Annotated[tuple[Size, ...], Field(max_length=100)] = ()
    """Widths of the linear layers before the last one."""
    activation: Activation = "none"
    """Activation after each of these."""
    output_activation: Activation = "none"
    """Activation after the last linear layer, applied to the scores."""


def make_head(features: int, outputs: int, config: HeadConfig) -> nn.Module:
    """Create the module that maps features (..., features) to scores (..., outputs)."""
    sizes = (features, *config.hidden, outputs)
    parts = [module() for module in ACTIVATIONS[config.input_activation]]
    for index, (wide, narrow) in enumerate(pairwise(sizes)):
        if config.dropout:
            parts.append(nn.Dropout(config.dropout))
        parts.append(nn.Linear(wide, narrow))
        last = index == len(config.hidden)
        parts += [module() for module in ACTIVATIONS[config.output_activation if last else config.activation]]
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)
