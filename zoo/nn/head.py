"""The head: what makes scores of the features of a sequence or of a step."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from zoo.config import Config, Fraction, Size

Activation = Literal["none", "relu", "tanh"]
ACTIVATIONS: Mapping[Activation, type[nn.Module] | None] = {"none": None, "relu": nn.ReLU, "tanh": nn.Tanh}


class HeadConfig(Config):
    """Linear layers on top of the recurrent ones; a single one when nothing is said."""

    input_activation: Activation = "none"
    """Applied to what comes from the recurrent layers."""
    dropout: Fraction = 0.0
    """Share of the values before each linear layer that training sets to zero."""
    hidden: Annotated[tuple[Size, ...], Field(max_length=100)] = ()
    """Widths of the linear layers before the last one."""
    activation: Activation = "none"
    """Applied after each of these."""
    output_activation: Activation = "none"
    """Applied to the scores."""


def make_head(features: int, outputs: int, config: HeadConfig) -> nn.Module:
    """A module from (..., features) to (..., outputs)."""
    sizes = (features, *config.hidden, outputs)
    modules = [ACTIVATIONS[config.input_activation]]
    parts: list[nn.Module] = [kind() for kind in modules if kind is not None]
    for index, (wide, narrow) in enumerate(pairwise(sizes)):
        if config.dropout:
            parts.append(nn.Dropout(config.dropout))
        parts.append(nn.Linear(wide, narrow))
        last = index == len(config.hidden)
        if (kind := ACTIVATIONS[config.output_activation if last else config.activation]) is not None:
            parts.append(kind())
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)
