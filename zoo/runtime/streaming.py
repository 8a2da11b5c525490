"""Running an exported model chunk by chunk, with what it remembers carried over. Does not need torch."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from zoo.data.arrays import as_array
from zoo.errors import DataError, RunError
from zoo.runtime.session import OnnxSession

CHUNKS_KEY, CHUNKS = "takes", "chunks"
"""The entry of a file's metadata that tells what it is for, and what it says of a file for chunks. The states alone do
not tell: a file for whole sequences may have them too, and one that reads backward could not go on in a next chunk."""


class OnnxStream:
    """A model that was exported with ``--streaming``, and the states of the sequences that it is reading.

    ::

        stream = OnnxModel("runs/shakespeare/onnx/model.stream.onnx").stream()
        first = stream.push(chunk)   # (batch, any number of steps, …)
        second = stream.push(next)   # goes on where the first one ended
        stream.reset()               # new sequences

    Several streams may share a session, each with states of its own. Where threads share a stream their chunks follow
    each other, in whatever order they come.

    Args:
        session: of a file for chunks.

    Raises:
        RunError: where the file is not for chunks, or tells of no states.
    """

    def __init__(self, session: OnnxSession) -> None:
        if session.metadata.get(CHUNKS_KEY) != CHUNKS:
            raise RunError(
                f"{session.path}: is for whole sequences, not for chunks; 'zoo export --onnx --streaming' makes one "
                "that is"
            )
        if not session.states:
            raise RunError(
                f"{session.path}: tells of no states, so nothing could be carried over; export the run again"
            )
        self._session = session
        self._lock = Lock()
        self._states: Mapping[str, NDArray[Any]] = {}

    def push(self, chunk: NDArray[Any], *, allow_nonfinite: bool = False) -> dict[str, NDArray[Any]]:
        """The next steps of every sequence -> each output by name, for these steps.

        Args:
            chunk: (batch, time, features) numbers in the user's units or (batch, time) tokens. Any number of steps;
                the batch is that of the first chunk until `reset`.
            allow_nonfinite: whether numbers of this chunk may be NaN or infinite, as of `OnnxModel.run`. It is asked
                for with each chunk, since who pushes one knows where its numbers are from.

        Raises:
            DataError: where the shape does not fit, or a value is not what the model takes; with its place in the
                chunk.
            RunError: where ONNX Runtime fails. The states are then as they were, as after a `DataError`.
        """
        with self._lock:
            steps = self._session.input
            x = as_array(chunk, f"{self._session.path.name}: x")
            steps.require_shape(x)
            x = steps.feed(x, allow_nonfinite=allow_nonfinite)
            carried = len(next(iter(self._states.values()), x))
            if carried != len(x):
                raise DataError(
                    f"{self._session.path.name}: carries the states of {carried} sequences, got a chunk of {len(x)}; "
                    "call reset() before other sequences"
                )
            values = self._session.run(x, states=self._states)
            self._states = {one.name: values.pop(one.next_name) for one in self._session.states}
            return values

    def reset(self) -> None:
        """Forget everything: the next chunk begins new sequences."""
        with self._lock:
            self._states = {}
