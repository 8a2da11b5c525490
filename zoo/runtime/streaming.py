"""Streaming: an exported model run chunk by chunk, with its states carried over. Does not need torch."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from zoo.data.arrays import as_array
from zoo.errors import DataError, RunError
from zoo.runtime.session import OnnxSession

CHUNKS_KEY, CHUNKS = "takes", "chunks"
"""Metadata entry with the use of a file, and its value for chunks. States alone do not show it: a file for whole
sequences may have them too, and one with a reverse direction cannot continue in a next chunk."""


class OnnxStream:
    """Model exported with ``--streaming``, and the states of its current sequences.

    ::

        stream = OnnxModel("runs/shakespeare/onnx/model.stream.onnx").stream()
        first = stream.push(chunk)   # (batch, any number of steps, …)
        second = stream.push(next)   # continues where the first chunk ended
        stream.reset()               # new sequences

    Several streams may share a session; each has its own states. Several threads may share a stream; their chunks are
    processed one after another, in the order of the calls.

    Args:
        session: session of a file for chunks.

    Raises:
        RunError: if the file is not for chunks, or has no states.
    """

    def __init__(self, session: OnnxSession) -> None:
        if session.metadata.get(CHUNKS_KEY) != CHUNKS:
            raise RunError(
                f"{session.path}: is for whole sequences, not for chunks; 'zoo export --onnx --streaming' writes one "
                "for chunks"
            )
        if not session.states:
            raise RunError(
                f"{session.path}: has no states in its metadata, so none could be carried over; export the run again"
            )
        self._session = session
        self._lock = Lock()
        self._states: Mapping[str, NDArray[Any]] = {}

    def push(self, chunk: NDArray[Any], *, allow_nonfinite: bool = False) -> dict[str, NDArray[Any]]:
        """Run the model on the next steps of every sequence, and update the states.

        Args:
            chunk: (batch, time, features) numbers in the user's units, or (batch, time) tokens. The number of steps is
                free; the batch is that of the first chunk since the last `reset`.
            allow_nonfinite: whether this chunk may contain NaN, infinity and numbers beyond the range of float32.

        Returns:
            Each output by name, for the steps of this chunk; without the states.

        Raises:
            DataError: if the shape does not match, or a value is invalid; with its position in the chunk.
            RunError: if ONNX Runtime fails. After both errors the states are unchanged.
        """
        with self._lock:
            x = as_array(chunk, f"{self._session.path.name}: x")
            self._session.input.require_shape(x)
            x = self._session.input.feed(x, allow_nonfinite=allow_nonfinite)
            carried = len(next(iter(self._states.values()), x))
            if carried != len(x):
                raise DataError(
                    f"{self._session.path.name}: carries the states of {carried} sequences, got a chunk of {len(x)}; "
                    "call reset() before other sequences"
                )
            values = self._session.run(x, states=self._states)
            self._states = {state.name: values.pop(state.next_name) for state in self._session.states}
            return values

    def reset(self) -> None:
        """Discard the states, so that the next chunk begins new sequences."""
        with self._lock:
            self._states = {}
