"""Architectures: the layer class and the options of each name, and models made from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
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
"""Memory that training needs for a parameter: its value, its gradient and Adam's two moments, four bytes each."""
MANY = 2**28
"""Largest number of parameters of a model that is made without measuring its size first.

That is 1 GiB of float32, initialised in a second or two. Below it the code of a cell never runs on the device ``meta``,
so it cannot leave a tensor of that device in a cache.
"""


@dataclass(frozen=True)
class Architecture:
    """Layer class and options of one ``architecture.name``."""

    layer: type[Layer]
    config: type[StackConfig]


class Named(Config):
    """A part of a spec whose ``name`` chooses a plugin's class.

    As the last base of a model it puts ``name`` before all other fields.
    """

    name: str


def make_architecture(item: type[Cell] | type[Layer]) -> Architecture:
    """Return the architecture of a class that a plugin registers.

    Args:
        item: a layer class, or a cell class, for which a layer class is made whose direction the spec chooses.
    """
    layer: type[Layer]
    if issubclass(item, Cell):
        layer = type(f"{item.__name__}Layer", (Layer,), {"name": item.name, "cell": item, "__doc__": item.__doc__})
    else:
        layer = item
    options = DirectedStackConfig if layer.fixed_direction is None else StackConfig
    return Architecture(layer, cast("type[StackConfig]", _named(layer.name, options, layer.cell.Config)))


def build_model(layer: type[Layer], config: StackConfig, encoder: EncoderConfig | None, task: Task) -> Model:
    """Make a model of encoder, stack, pooling, head and readout, with initial weights.

    A model of more than `MANY` parameters is first made on the device ``meta``, to measure its size.

    Args:
        layer: the layer class of the architecture.
        config: its options.
        encoder: options of the encoder; None for the default of the data's signature.
        task: gives the head, the readout and the signature.

    Raises:
        SpecError: the options contradict each other, or this machine's memory cannot hold the model.
    """

    assemble = partial(_assemble, layer, config, encoder, task)
    before = torch.get_rng_state()
    try:
        with _few_parameters():
            return assemble()
    except _ManyParameters:
        _refuse_too_large(assemble)
    except (RuntimeError, TypeError, MemoryError) as error:  # torch raises any of them when memory runs out
        _refuse_too_large(assemble)
        if "allocate memory" in str(error):
            raise SpecError("architecture: this machine has no memory for this model; lower hidden_size") from error
        raise
    torch.set_rng_state(before)
    return assemble()


class _ManyParameters(Exception):  # noqa: N818  (not an error: the model is measured then)
    """Signal that a model has more parameters than are made without measuring it."""


@contextmanager
def _few_parameters() -> Iterator[None]:
    """Raise `_ManyParameters` once the modules made inside have more than `MANY`, or more than the memory holds."""
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
    """Raise a `SpecError` for a model whose training needs more memory than this machine has.

    The model is made on the device ``meta``, where tensors have shapes but no values. A cell that cannot be made there
    (one that reads a value, or holds tensors of other devices) is not measured.
    """
    try:
        with torch.device("meta"):
            size = assemble().parameter_count * BYTES_PER_PARAMETER
    except ZooError:
        raise
    except Exception as error:
        if "overflow" in str(error).lower():
            raise SpecError(
                "architecture: the number of parameters is too large to represent; lower hidden_size"
            ) from error
        return
    if size > (memory := machine_memory()):
        raise SpecError(
            f"architecture: training this model takes {size / 1e9:,.0f} GB for the parameters alone, and this machine "
            f"has {memory / 1e9:,.0f} GB; lower hidden_size, num_layers or the sizes in encoder and head"
        )


def _assemble(layer: type[Layer], config: StackConfig, encoder: EncoderConfig | None, task: Task) -> Model:
    if task.by_step and config.pooling is not None:
        raise SpecError(
            f"architecture.pooling: {config.pooling!r} reduces a sequence to one vector, but {task.name!r} needs every "
            "step; leave it out"
        )
    encode = make_encoder(encoder, task.signature)
    stack = Stack(layer, encode.output_size, config)
    pooling = None if task.by_step else config.pooling or "last"
    head, lengths = task.head(stack.output_size), task.signature.lengths
    return Model(encode, stack, pooling, head, task.readout(), takes_lengths=lengths)


def named_config(name: str, config: type[Config]) -> type[Config]:
    """Return a plugin's Config with a required field ``name`` whose only value is the given name.

    Raises:
        TypeError: the Config is not a `zoo.Config`, or already has a field ``name``.
        pydantic.PydanticUserError: a field has no JSON Schema.
    """
    return _named(name, *([] if config is Config else [config]))


@cache  # making a class takes some milliseconds
def _named(name: str, *bases: type[Config]) -> type[Config]:
    """Return one class with the fields of all ``bases`` and the tag ``name``; raises as `named_config` does."""
    if strange := [base for base in bases if not issubclass(base, Config)]:
        raise TypeError(f"{strange[0].__qualname__} must be a subclass of zoo.Config")
    parents: list[type[Config]] = [*bases, Named]
    fields = [field for parent in parents for field in parent.model_fields]
    if taken := sorted({field for field in fields if fields.count(field) > 1}):
        raise TypeError(f"the field {', '.join(taken)} of its Config is reserved; rename it")
    tag: Any = Literal[name]
    model = cast("type[Config]", create_model(f"{name}Config", __base__=tuple(parents), name=(tag, ...)))
    model.model_json_schema()  # raises where a field's type has no JSON Schema
    return model
