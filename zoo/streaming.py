"""Running an exported model chunk by chunk, with what it remembers carried over. Does not need torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError, RunError
from zoo.runtime import INPUT, PlacedNode, StepsInput, compute, load, placement


class OnnxStream:
    """A model that was exported with ``--streaming``, and the states of the sequences that it is reading.

    ::

        stream = OnnxStream(Path("runs/shakespeare/onnx/model.stream.onnx"))
        first = stream.push(chunk)   # (batch, any number of steps, …)
        second = stream.push(next)   # goes on where the first one ended
        stream.reset()               # new sequences

    One stream is for one caller at a time.

    Args:
        path: the ``.stream.onnx`` file.
        provider: ``cpu`` or ``cuda``.
        strict: keep float32 products in float32; otherwise as ONNX Runtime does by itself, which on CUDA means TF32.
        threads: of the CPU; as many as ONNX Runtime likes when None.

    Raises:
        ProviderUnavailable: where the provider cannot run here.
        RunError: where the file is not one that ONNX Runtime takes, or does not tell its states.
    """

    def __init__(self, path: Path, provider: str = "cpu", *, strict: bool = True, threads: int | None = None) -> None:
        self._session = load(path, provider, strict=strict, threads=threads)
        self._input = StepsInput.of(self._session, path)
        self.path = path
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._next, self._sizes = _contract(self.metadata, path)
        wanted, found = {INPUT, *self._sizes}, {one.name for one in self._session.get_inputs()}
        outputs = [output.name for output in self._session.get_outputs()]
        if wanted != found or not set(self._next) <= set(outputs):
            raise RunError(f"{path}: has other inputs or outputs than its metadata say; export the run again")
        self.output_names = [name for name in outputs if name not in self._next]
        self._states: dict[str, NDArray[np.float32]] = {}

    def push(self, chunk: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The next steps of every sequence -> each output by name, for these steps.

        Args:
            chunk: (batch, time, features) numbers in the user's units or (batch, time) tokens. Any number of steps;
                the batch is that of the first chunk until `reset`.

        Raises:
            DataError: where the shape does not fit.
            RunError: where ONNX Runtime fails, as it does at a token that the model does not know. The states are then
                as they were.
        """
        x = self._input.feed(chunk)
        states = self._states or {name: np.zeros((len(x), size), np.float32) for name, size in self._sizes.items()}
        carried = len(next(iter(states.values())))
        if carried != len(x):
            raise DataError(
                f"{self.path.name}: carries the states of {carried} sequences, got a chunk of {len(x)}; "
                "call reset() before other sequences"
            )
        names = [*self.output_names, *self._next]
        values = dict(zip(names, compute(self._session, self.path, names, {INPUT: x, **states}), strict=True))
        self._states = {self._next[name]: values.pop(name) for name in self._next}
        return values

    def reset(self) -> None:
        """Forget everything: the next chunk begins new sequences."""
        self._states = {}

    def placement(self) -> list[PlacedNode]:
        """Every node that ran and the provider that ran it."""
        return placement(self._session)


def _contract(metadata: Mapping[str, str], path: Path) -> tuple[dict[str, str], dict[str, int]]:
    """What is to be carried over: the input that each state's output goes to, and the size of each input."""
    try:
        states = json.loads(metadata["states"])
        inputs = {str(state["output"]): str(state["input"]) for state in states}
        sizes = {str(state["input"]): int(state["shape"][1]) for state in states}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise RunError(
            f"{path}: does not tell its states, so it is not for chunks; 'zoo export --onnx --streaming' makes one"
        ) from error
    if not inputs:
        raise RunError(f"{path}: tells of no states, so nothing could be carried over; export the run again")
    return inputs, sizes
