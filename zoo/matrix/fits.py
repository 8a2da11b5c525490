"""Sizes and settings that a cell supports, determined by building small stacks of it and running them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from pydantic import ValidationError

from zoo.errors import SpecError, UsageError
from zoo.nn.recurrent import Direction, Layer, Stack, StackConfig

STEPS, BATCH = 2, 2


def stack_error(layer: type[Layer], config: StackConfig, features: int, **changes: Any) -> str:
    """Return, in one line, why a stack cannot be built or fails on an input of zeros; empty where it runs.

    Args:
        layer: the class of its layers.
        config: its options.
        features: width of its input.
        **changes: options to change; those that the config does not have are ignored.
    """
    try:
        options = {key: value for key, value in changes.items() if key in type(config).model_fields}
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            stack = Stack(layer, features, type(config).model_validate(config.model_dump() | options)).eval()
            stack(torch.zeros(STEPS, BATCH, features))
    except Exception as error:  # a cell may raise any exception
        return one_line(error)
    return ""


def check_features(name: str, layer: type[Layer], config: StackConfig, features: int, hidden_size: int) -> None:
    """Check that a cell which runs on an input as wide as its state also runs on so many features.

    A cell that fails on both widths is accepted: its error is not one of width, and its proof reports it.

    Raises:
        UsageError: naming the option that sets the number of features.
    """
    reason = stack_error(layer, config, features)
    if reason and not stack_error(layer, config, hidden_size):
        raise UsageError(
            f"{name}: does not run on {features} features with hidden_size {hidden_size}, and does on {hidden_size}: "
            f"add --features {hidden_size} ({reason})"
        )


def impossible_settings(
    layer: type[Layer], config: StackConfig, features: int, directions: Iterable[Direction], layers: Iterable[int]
) -> Mapping[tuple[Direction, int], str]:
    """Return the directions and numbers of layers in which a cell that runs in one layer fails, with the errors.

    An example is a cell whose input must be as wide as its state, above a bidirectional layer.
    """
    if stack_error(layer, config, features):
        return {}
    errors = {
        (direction, number): stack_error(layer, config, features, direction=direction, num_layers=number)
        for direction in directions
        for number in layers
    }
    return {setting: error for setting, error in errors.items() if error}


def one_line(error: Exception) -> str:
    """Return the message of an error in one line."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    return " ".join(str(error.faults[0] if isinstance(error, SpecError) else error).split())
