"""The states that an exported file takes before the first step and gives after the last one. Does not need torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import as_array, require_finite
from zoo.errors import DataError, RunError

ALLOW = "replace it, or let it through with allow_nonfinite=True"
"""What to do with a number that is not finite, in a program."""
KEY = "states"
"""The entry of a file's metadata that tells of its states."""


@dataclass(frozen=True)
class StateInput:
    """One state, as the metadata tell of it."""

    name: str
    """Of the input, such as ``state_0_h``."""
    next_name: str
    """Of the output that the input of the following steps is to be."""
    initial: NDArray[Any]
    """(n,): what every sequence starts with, in the dtype of the input."""

    def at_start(self, batch: int) -> NDArray[Any]:
        """(batch, n)"""
        return np.repeat(self.initial[None], batch, axis=0)

    def feed(self, value: Any, batch: int, file: str, *, allow_nonfinite: bool) -> NDArray[Any]:
        """A state as ONNX Runtime is to be given it.

        Raises:
            DataError: where shape or dtype is another, or a number is not finite.
        """
        value = as_array(value, f"{file}: {self.name}")
        wanted = (batch, len(self.initial))
        if value.shape != wanted or value.dtype != self.initial.dtype:
            raise DataError(
                f"{file}: takes {self.name} as {wanted} of {self.initial.dtype}, got {value.shape} of {value.dtype}"
            )
        if not allow_nonfinite:
            require_finite(value, value, lambda index: f"{file}: {self.name}{list(index)}", advice=ALLOW)
        return np.ascontiguousarray(value)


def read_states(metadata: Mapping[str, str], path: Path) -> tuple[StateInput, ...]:
    """The states that a file tells of; none where it tells nothing.

    Raises:
        RunError: where it cannot be understood.
    """
    try:
        return tuple(_state(one) for one in json.loads(metadata.get(KEY, "[]")))
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise RunError(
            f"{path}: its metadata tell of its states in a way that cannot be understood; export the run again"
        ) from error


def _state(told: Mapping[str, Any]) -> StateInput:
    dtype = np.dtype(told["dtype"])
    if dtype.kind not in "biuf":
        raise TypeError(dtype)
    initial = np.array(np.broadcast_to(np.asarray(told["initial"]), (int(told["shape"][1]),)), dtype)
    return StateInput(str(told["input"]), str(told["output"]), initial)
