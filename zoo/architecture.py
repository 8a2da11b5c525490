"""From an architecture's name to a layer class, its options, and a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

import torch
from pydantic import create_model

from zoo.cell import Cell
from zoo.config import Config
from zoo.encoder import EncoderConfig, make_encoder
from zoo.errors import SpecError
from zoo.memory import machine_memory
from zoo.model import Model
from zoo.recurrent import DirectedStackConfig, Layer, Stack, StackConfig
from zoo.task import Task

BYTES_PER_PARAMETER = 16
"""What training keeps of each parameter: itself, its gradient and Adam's two moments, four bytes each."""


@dataclass(frozen=True)
class Architecture:
    """What ``architecture.name`` in a spec stands for."""

    layer: type[Layer]
    config: type[StackConfig]


class Named(Config):
    """A part of a spec that names a plugin's thing. As the last base it puts the name before the other fields."""

    name: str


def architecture(item: type[Cell] | type[Layer]) -> Architecture:
    """The architecture that a plugin's class becomes; a cell gets a layer class of its own."""
    layer: type[Layer]
    if issubclass(item, Cell):
        layer = type(f"{item.__name__}Layer", (Layer,), {"name": item.name, "cell": item, "__doc__": item.__doc__})
    else:
        layer = item
    options = DirectedStackConfig if layer.fixed_direction is None else StackConfig
    return Architecture(layer, cast("type[StackConfig]", _named(layer.name, options, layer.cell.Config)))


def build_model(layer: type[Layer], config: StackConfig, encoder: EncoderConfig | None, task: Task) -> Model:
    """Put a model together, with its first weights.

    Raises:
        SpecError: where the options do not fit each other or the model is too large for any machine.
    """
    try:
        with torch.device("meta"):
            size = _assemble(layer, config, encoder, task).parameter_count * BYTES_PER_PARAMETER
    except (RuntimeError, TypeError) as error:
        if "overflow" not in str(error).lower():
            raise
        raise SpecError("architecture: these sizes are too large to be counted; lower hidden_size") from error
    if size > (memory := machine_memory()):
        raise SpecError(
            f"architecture: training this model takes {size / 1e9:,.0f} GB for the parameters alone, and this machine "
            f"has {memory / 1e9:,.0f} GB; lower hidden_size, num_layers or the sizes in encoder and head"
        )
    return _assemble(layer, config, encoder, task)


def _assemble(layer: type[Layer], config: StackConfig, encoder: EncoderConfig | None, task: Task) -> Model:
    if task.answers == "classes" and config.pooling is not None:
        raise SpecError(
            f"architecture.pooling: {config.pooling!r} makes one vector of a sequence, and {task.name!r} needs every "
            "step; leave it out"
        )
    encode = make_encoder(encoder, task.signature)
    stack = Stack(layer, encode.output_size, config)
    pooling = None if task.answers == "classes" else config.pooling or "last"
    takes_lengths = task.signature.lengths
    return Model(encode, stack, pooling, task.head(stack.output_size), task.readout(), takes_lengths=takes_lengths)


def named_config(name: str, config: type[Config]) -> type[Config]:
    """A plugin's Config with the tag ``name`` that chooses it in a spec."""
    return _named(name, *([] if config is Config else [config]))


@cache  # the same classes give the same class, and making one takes some milliseconds
def _named(name: str, *bases: type[Config]) -> type[Config]:
    """The options of ``bases`` in one class, with the tag. Fails where a plugin's Config cannot be used."""
    if strange := [base for base in bases if not issubclass(base, Config)]:
        raise TypeError(f"{strange[0].__qualname__} must be a subclass of zoo.Config")
    parents: list[type[Config]] = [*bases, Named]
    fields = [field for parent in parents for field in parent.model_fields]
    if taken := sorted({field for field in fields if fields.count(field) > 1}):
        raise TypeError(f"the field {', '.join(taken)} of its Config has a meaning already; rename it")
    tag: Any = Literal[name]
    model = cast("type[Config]", create_model(f"{name}Config", __base__=tuple(parents), name=(tag, ...)))
    model.model_json_schema()  # fails for what a spec cannot say
    return model
