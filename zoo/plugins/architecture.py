"""From an architecture's name to a layer class, its options, and a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, cast

import torch
from pydantic import create_model
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from zoo.config import Config
from zoo.errors import SpecError, ZooError
from zoo.memory import machine_memory
from zoo.nn.cell import Cell
from zoo.nn.encoder import EncoderConfig, make_encoder
from zoo.nn.model import Model
from zoo.nn.recurrent import DirectedStackConfig, Layer, Stack, StackConfig
from zoo.tasks.task import Task

BYTES_PER_PARAMETER = 16
"""What training keeps of each parameter: itself, its gradient and Adam's two moments, four bytes each."""
MANY = 2**28
"""Parameters up to which a model is made without measuring it: a gigabyte of float32, filled in a second or two. So the
code of a usual cell never runs on the device ``meta``, and leaves no tensor of that device in a cache."""


@dataclass(frozen=True)
class Architecture:
    """What ``architecture.name`` in a spec stands for."""

    layer: type[Layer]
    config: type[StackConfig]


class Named(Config):
    """A part of a spec that names a plugin's thing. As the last base it puts the name before the other fields."""

    name: str


def make_architecture(item: type[Cell] | type[Layer]) -> Architecture:
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

    def assemble() -> Model:
        return _assemble(layer, config, encoder, task)

    before = torch.get_rng_state()
    try:
        with _few_parameters():
            return assemble()
    except _ManyParameters:
        _refuse_too_large(assemble)
    except (RuntimeError, TypeError, MemoryError) as error:  # what torch raises, among others, for lack of memory
        _refuse_too_large(assemble)
        if "allocate memory" in str(error):
            raise SpecError("architecture: this machine has no memory for this model; lower hidden_size") from error
        raise
    torch.set_rng_state(before)
    return assemble()


class _ManyParameters(Exception):  # noqa: N818  (nothing is wrong yet)
    """A model has more than `MANY` parameters."""


@contextmanager
def _few_parameters() -> Iterator[None]:
    """Raise `_ManyParameters` once the modules that are made inside have more than `MANY`, or than fit into memory."""
    limit, count = min(MANY, machine_memory() // BYTES_PER_PARAMETER), 0

    def add(_module: nn.Module, _name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count
        count += 0 if parameter is None else parameter.numel()
        if count > limit:
            raise _ManyParameters

    handle = register_module_parameter_registration_hook(add)
    try:
        yield
    finally:
        handle.remove()


def _refuse_too_large(assemble: Callable[[], Model]) -> None:
    """Raise a `SpecError` for a model that this machine cannot hold.

    It is measured on the device ``meta``, where nothing has numbers. A cell that cannot be made there (one that looks
    at a number, or has tensors of other devices) is not measured.
    """
    try:
        with torch.device("meta"):
            size = assemble().parameter_count * BYTES_PER_PARAMETER
    except ZooError:
        raise
    except Exception as error:
        if "overflow" in str(error).lower():
            raise SpecError("architecture: these sizes are too large to be counted; lower hidden_size") from error
        return
    if size > (memory := machine_memory()):
        raise SpecError(
            f"architecture: training this model takes {size / 1e9:,.0f} GB for the parameters alone, and this machine "
            f"has {memory / 1e9:,.0f} GB; lower hidden_size, num_layers or the sizes in encoder and head"
        )


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
