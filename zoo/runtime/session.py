"""Session: an exported file loaded on a provider, which computes one batch at a time. Does not need torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import as_array, require_finite, require_kind, to_float32, to_tokens
from zoo.data.categories import require_ids
from zoo.data.datafile import name_fault
from zoo.data.signature import Signature
from zoo.errors import DataError, RunError
from zoo.runtime.onnx_contents import contents_fault
from zoo.runtime.providers import PlacedNode, compute, placement, start
from zoo.runtime.state_inputs import ALLOW, read_states

INPUT, LENGTHS = "x", "lengths"
"""Names of the inputs with the sequences and their lengths."""
_ONNX_TYPES = {
    "float32": "tensor(float)",
    "float64": "tensor(double)",
    **{name: f"tensor({name})" for name in ("bool", "float16", "int8", "int16", "int32", "int64", "uint8")},
}
"""ONNX Runtime's name of each dtype that a state may have."""


def read_onnx(path: Path) -> bytes:
    """Read the bytes of a file.

    Raises:
        RunError: if the name is invalid, the file does not exist, or it cannot be read.
    """
    if fault := name_fault(path):
        raise RunError(fault)
    if not path.is_file():
        raise RunError(f"{path}: does not exist; 'zoo export --onnx' makes it")
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True)
class StepsInput:
    """Shape and value range of the input ``x`` of an exported file."""

    file: str
    """Name of the file, for errors."""
    features: int
    """Number of features; 0 where steps are tokens."""
    steps: int | None = None
    """Number of steps where it is fixed, else None."""
    tokens: int = 0
    """Size of the vocabulary; 0 where steps are numbers, or the file does not state it."""
    signature: Signature | None = None
    """The signature in the file, for the ids of categories; None where the file has none."""

    @classmethod
    def of(cls, session: Any, path: Path, signature: Signature | None) -> Self:
        """Read the input from an ONNX Runtime session.

        Args:
            session: ONNX Runtime's session.
            path: path of the file, for errors.
            signature: the signature in the file; None where it has none.

        Raises:
            RunError: if the file has no such input.
        """
        x: Any = next((node for node in session.get_inputs() if node.name == INPUT), None)
        shape = [] if x is None else x.shape
        steps = shape[1] if len(shape) > 1 and isinstance(shape[1], int) else None
        if len(shape) == 2 and x.type == "tensor(int64)":
            return cls(path.name, 0, steps, len(signature.vocabulary) if signature else 0)
        if len(shape) == 3 and isinstance(shape[2], int):
            return cls(path.name, shape[2], steps, signature=signature)
        raise RunError(
            f"{path}: does not take an input {INPUT!r} of (batch, time, features) numbers or (batch, time) tokens, "
            "so Recurrent Zoo did not write it; name a file that 'zoo export --onnx' made"
        )

    def feed(
        self, x: NDArray[Any], lengths: NDArray[Any] | None = None, *, allow_nonfinite: bool
    ) -> NDArray[np.float32] | NDArray[np.int64]:
        """Check the values of x and convert them to float32, or to int64 where steps are tokens.

        ONNX Runtime would accept the token -1 as the last one of the vocabulary. A feature with categories must contain
        ids, whether numbers that are not finite are accepted or not; beyond a length what is no id becomes 0.

        Args:
            x: (batch, time, features) numbers or (batch, time) tokens, of a shape that `require_shape` accepts.
            lengths: (batch,), from 1 to time. Values beyond a length are not checked.
            allow_nonfinite: whether NaN, infinity and numbers beyond the range of float32 are accepted.

        Raises:
            DataError: if the kind of dtype or a value is invalid; with the position of the value.
        """
        require_kind(x.dtype, f"{self.file}: x", tokens=not self.features)
        valid = None if lengths is None else np.arange(x.shape[1]) < lengths[:, None]
        if not self.features:
            return to_tokens(x, self.tokens, self._place, valid=valid)
        narrow = to_float32(x)
        if not allow_nonfinite:
            require_finite(narrow, x, self._place, valid=valid, advice=ALLOW)
        return narrow if self.signature is None else require_ids(narrow, self.signature, self._place, valid)

    def _place(self, index: tuple[int, ...]) -> str:
        names = ("sequence", "step", "feature")
        return f"{self.file}: " + ", ".join(f"{name} [{number}]" for name, number in zip(names, index, strict=False))

    def require_shape(self, x: NDArray[Any]) -> None:
        """Check the shape of x.

        ONNX Runtime would abort the whole process on an empty batch and on sequences without steps.

        Raises:
            DataError: if the shape does not match the input.
        """
        shape = tuple(x.shape)
        expected = f"(batch, time, {self.features})" if self.features else "(batch, time)"
        if len(shape) != (3 if self.features else 2) or (self.features and shape[2] != self.features):
            raise DataError(f"{self.file}: takes {expected}, got {shape}; reshape the input")
        if 0 in shape:
            raise DataError(f"{self.file}: needs at least one sequence and one step, got {shape}")
        if self.steps is not None and shape[1] != self.steps:
            raise DataError(
                f"{self.file}: takes exactly {self.steps} steps, the number it was exported for, got {shape[1]}; give "
                "that many, or export the run with another lowering"
            )


class OnnxSession:
    """Exported file, for whole sequences or for chunks, loaded on one provider. Threads may share it.

    The session checks that the file needs no other file and no custom library. It does not check the seal and the
    golden output; `zoo.runtime.OnnxModel` does.

    Args:
        path: the ``.onnx`` file.
        provider: ``cpu`` or ``cuda``.
        strict: whether float32 products are computed in float32. If false, ONNX Runtime's default applies, which on
            CUDA is TF32.
        threads: number of CPU threads; ONNX Runtime's default when None.
        content: the bytes of the file, if they have already been read.
        profile: prefix of the path of ONNX Runtime's profile; None for no profile. See `end_profile`.

    Raises:
        ProviderUnavailable: if the provider cannot run on this machine.
        RunError: if ONNX Runtime cannot load the file, or its inputs are not those that Recurrent Zoo writes.
    """

    def __init__(
        self,
        path: Path,
        provider: str = "cpu",
        *,
        strict: bool = True,
        threads: int | None = None,
        content: bytes | None = None,
        profile: Path | None = None,
    ) -> None:
        content = read_onnx(path) if content is None else content
        if fault := contents_fault(content):
            raise RunError(f"{path}: {fault}")
        self._session = start(content, path, provider, strict=strict, threads=threads, profile=profile)
        self.path = path
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.signature = _read_signature(self.metadata)
        self.input = StepsInput.of(self._session, path, self.signature)
        self.output_names = [output.name for output in self._session.get_outputs()]
        self.states = read_states(self.metadata, path)
        next_states = {state.next_name for state in self.states}
        self.result_names = [name for name in self.output_names if name not in next_states]
        """Names of the outputs that are not states."""
        types = {node.name: node.type for node in self._session.get_inputs()}
        self.takes_lengths = LENGTHS in types
        expected = {state.name: _ONNX_TYPES.get(str(state.initial.dtype)) for state in self.states}
        actual = {name: kind for name, kind in types.items() if name not in (INPUT, LENGTHS)}
        if expected != actual or not next_states <= set(self.output_names):
            raise RunError(f"{path}: has inputs or outputs that differ from its metadata; export the run again")

    def run(
        self,
        x: NDArray[Any],
        lengths: NDArray[Any] | None = None,
        states: Mapping[str, NDArray[Any]] | None = None,
        *,
        allow_nonfinite: bool = True,
    ) -> dict[str, NDArray[Any]]:
        """Run the model on one batch.

        Args:
            x: (batch, time, features) numbers in the user's units, or (batch, time) tokens.
            lengths: (batch,) valid steps of each sequence, of any integer dtype, if the model takes lengths; None if
                all steps are valid.
            states: (batch, n) by name, if the model takes states; a missing one has its initial value.
            allow_nonfinite: whether NaN, infinity and numbers beyond the range of float32 are accepted in x and states.
                They are by default, unlike in `zoo.runtime.OnnxModel`, since a proof must run on such values too.

        Returns:
            Each output by name, including the states after the last step.

        Raises:
            DataError: if a shape, dtype, length, token, value or state name is invalid; with the position of a value.
            RunError: if ONNX Runtime fails.
        """
        x = as_array(x, f"{self.path.name}: x")
        self.input.require_shape(x)
        lengths = None if lengths is None else as_array(lengths, f"{self.path.name}: lengths")
        self._require_lengths(x.shape, lengths)
        feeds: dict[str, NDArray[Any]] = {INPUT: self.input.feed(x, lengths, allow_nonfinite=allow_nonfinite)}
        if self.takes_lengths:
            feeds[LENGTHS] = np.full(len(x), x.shape[1]) if lengths is None else lengths.astype(np.int64)
        states = states or {}
        if unknown := sorted(states.keys() - {state.name for state in self.states}):
            names = ", ".join(state.name for state in self.states) or "none"
            raise DataError(f"{self.path.name}: takes no state {unknown[0]!r}; its states are: {names}")
        for state in self.states:
            value = states.get(state.name)
            feeds[state.name] = state.feed(value, len(x), self.path.name, allow_nonfinite=allow_nonfinite)
        values = compute(self._session, self.path, self.output_names, feeds)
        return dict(zip(self.output_names, values, strict=True))

    def _require_lengths(self, shape: tuple[int, ...], lengths: NDArray[Any] | None) -> None:
        """Raise a `DataError` for invalid lengths, which ONNX Runtime does not reject."""
        if lengths is None:
            return
        if not self.takes_lengths:
            raise DataError(f"{self.path.name}: takes no lengths; leave them out")
        if lengths.dtype.kind not in "iu":
            raise DataError(f"{self.path.name}: takes lengths of an integer dtype, got {lengths.dtype}")
        if lengths.shape != shape[:1] or lengths.min() < 1 or lengths.max() > shape[1]:
            raise DataError(f"{self.path.name}: needs a length from 1 to {shape[1]} for each of {shape[0]} sequences")

    def placement(self) -> list[PlacedNode]:
        """Return every node of the optimised graph with its provider."""
        return placement(self._session)

    def end_profile(self) -> Path:
        """Stop profiling and return the path of the profile. The session must have been created with ``profile``."""
        return Path(self._session.end_profiling())


def _read_signature(metadata: Mapping[str, str]) -> Signature | None:
    """Return the signature in the metadata of a file; None if it is missing or malformed."""
    try:
        return Signature.from_dict(json.loads(metadata["signature"]))
    except (KeyError, TypeError, ValueError):
        return None
