"""State inputs of an exported file, and the state outputs that continue them. Does not need torch."""

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

ALLOW = "replace it, or allow it with allow_nonfinite=True"
"""Advice to a program for a value that is not finite."""
KEY = "states"
"""Metadata entry that lists the states: a JSON array of objects."""


@dataclass(frozen=True)
class StateInput:
    """Names and initial value of one state."""

    name: str
    """Name of the input, such as ``state_0_h``."""
    next_name: str
    """Name of the output with the state after the last step, the input for the steps that follow."""
    initial: NDArray[Any]
    """(n,), in the dtype of the input: the state at the start of every sequence."""

    def at_start(self, batch: int) -> NDArray[Any]:
        """Return the initial state of a batch, (batch, n)."""
        return np.repeat(self.initial[None], batch, axis=0)

    def feed(self, value: Any, batch: int, file: str, *, allow_nonfinite: bool) -> NDArray[Any]:
        """Check a state and return it as a contiguous array for ONNX Runtime.

        Args:
            value: (batch, n), in the dtype of the input; None for the initial state.
            batch: number of sequences.
            file: name of the file, for errors.
            allow_nonfinite: whether NaN and infinity are accepted.

        Raises:
            DataError: if the shape or dtype differs, or a value is not finite.
        """
        if value is None:
            return self.at_start(batch)
        value = as_array(value, f"{file}: {self.name}")
        shape = (batch, len(self.initial))
        if value.shape != shape or value.dtype != self.initial.dtype:
            raise DataError(
                f"{file}: takes {self.name} as {shape} of {self.initial.dtype}, got {value.shape} of {value.dtype}"
            )
        if not allow_nonfinite:
            require_finite(value, value, lambda index: f"{file}: {self.name}{list(index)}", advice=ALLOW)
        return np.ascontiguousarray(value)


def read_states(metadata: Mapping[str, str], path: Path) -> tuple[StateInput, ...]:
    """Read the states from the metadata of a file; none where the entry is absent.

    Raises:
        RunError: if the entry is malformed.
    """
    try:
        return tuple(_state(entry) for entry in json.loads(metadata.get(KEY, "[]")))
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise RunError(f"{path}: its metadata entry 'states' is malformed; export the run again") from error


def _state(entry: Mapping[str, Any]) -> StateInput:
    dtype = np.dtype(entry["dtype"])
    if dtype.kind not in "biuf":
        raise TypeError(dtype)
    initial = np.array(np.broadcast_to(np.asarray(entry["initial"]), (int(entry["shape"][1]),)), dtype)
    return StateInput(str(entry["input"]), str(entry["output"]), initial)
