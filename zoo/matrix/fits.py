"""Which sizes and settings a cell can do with, found by making small stacks of it and running them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from pydantic import ValidationError

from zoo.errors import SpecError, UsageError
from zoo.nn.recurrent import Direction, Layer, Stack, StackConfig

STEPS, BATCH = 2, 2


def fault(layer: type[Layer], config: StackConfig, features: int, **varied: Any) -> str:
    """Why a stack cannot be made, or fails on an input of zeros, in a line; empty where it runs.

    Args:
        layer: its layers.
        config: its options.
        features: numbers in a step of its input.
        varied: options to change.
    """
    try:
        options = {key: value for key, value in varied.items() if key in type(config).model_fields}
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            stack = Stack(layer, features, type(config).model_validate(config.model_dump() | options)).eval()
            stack(torch.zeros(STEPS, BATCH, features))
    except Exception as error:  # a cell raises what it likes
        return in_short(error)
    return ""


def insist_on_features(name: str, layer: type[Layer], config: StackConfig, features: int, hidden_size: int) -> None:
    """Raise a `UsageError` for a cell that fails on so many features and runs on as many as it has units.

    What fails on both is no matter of sizes, and is left to whoever runs the cell.
    """
    reason = fault(layer, config, features)
    if reason and not fault(layer, config, hidden_size):
        raise UsageError(
            f"{name}: does not run on {features} features with hidden_size {hidden_size}, and does on {hidden_size}: "
            f"add --features {hidden_size} ({reason})"
        )


def impossible(
    layer: type[Layer], config: StackConfig, features: int, directions: Iterable[Direction], layers: Iterable[int]
) -> Mapping[tuple[Direction, int], str]:
    """Directions and numbers of layers in which a cell cannot be, though it can in one layer, and what it raises there.

    Such as a cell that needs as many inputs as outputs, above a bidirectional layer.
    """
    if fault(layer, config, features):
        return {}
    tried = {
        (direction, number): fault(layer, config, features, direction=direction, num_layers=number)
        for direction in directions
        for number in layers
    }
    return {setting: reason for setting, reason in tried.items() if reason}


def in_short(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    return " ".join(str(error.faults[0] if isinstance(error, SpecError) else error).split())
