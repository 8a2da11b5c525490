"""A session: an exported file, loaded on a provider, that answers for one batch. Does not need torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import as_array, require_finite, require_kind, to_float32, to_tokens
from zoo.data.datafile import name_fault
from zoo.data.signature import Signature
from zoo.errors import DataError, RunError
from zoo.runtime.onnx_contents import contents_fault
from zoo.runtime.providers import PlacedNode, compute, placement, start
from zoo.runtime.state_inputs import ALLOW, read_states

INPUT, LENGTHS = "x", "lengths"
_ONNX_TYPES = {
    "float32": "tensor(float)",
    "float64": "tensor(double)",
    **{name: f"tensor({name})" for name in ("bool", "float16", "int8", "int16", "int32", "int64", "uint8")},
}
"""What ONNX Runtime calls the types that a state may have."""


def read_onnx(path: Path) -> bytes:
    """The bytes of a file, for ONNX Runtime and whoever looks into them before.

    Raises:
        RunError: where there is none, or it cannot be read.
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
    """The input ``x`` of a file that Recurrent Zoo wrote."""

    file: str
    """The file's name, for errors."""
    features: int
    """Numbers in a step; 0 where steps are tokens."""
    steps: int | None = None
    """How many steps it takes, where that is fixed."""
    tokens: int = 0
    """How many tokens the model knows; 0 where steps are numbers, or the file does not say."""

    @classmethod
    def of(cls, session: Any, path: Path, tokens: int) -> Self:
        """That of ONNX Runtime's session, of a model that knows so many ``tokens``.

        Raises:
            RunError: where it has none.
        """
        found: Any = next((one for one in session.get_inputs() if one.name == INPUT), None)
        shape = [] if found is None else found.shape
        steps = shape[1] if len(shape) > 1 and isinstance(shape[1], int) else None
        if len(shape) == 2 and found.type == "tensor(int64)":
            return cls(path.name, 0, steps, tokens)
        if len(shape) == 3 and isinstance(shape[2], int):
            return cls(path.name, shape[2], steps)
        raise RunError(
            f"{path}: does not take an input {INPUT!r} of (batch, time, features) numbers or (batch, time) tokens, "
            "so Recurrent Zoo did not write it; name a file that 'zoo export --onnx' made"
        )

    def feed(
        self, x: NDArray[Any], lengths: NDArray[Any] | None = None, *, allow_nonfinite: bool
    ) -> NDArray[np.float32] | NDArray[np.int64]:
        """x as ONNX Runtime is to be given it: float32, or int64 where steps are tokens.

        Args:
            x: (batch, time, features) numbers or (batch, time) tokens, of a shape that `require_shape` passes.
            lengths: (batch,) from 1 to time. What stands behind one is not read, and so may be anything.
            allow_nonfinite: whether numbers may be NaN or infinite.

        Raises:
            DataError: where the kind does not fit, or a value is not what the model takes; with its place. ONNX Runtime
                takes the token -1 for the last one.
        """
        require_kind(x.dtype, f"{self.file}: x", tokens=not self.features)
        valid = None if lengths is None else np.arange(x.shape[1]) < lengths[:, None]
        if not self.features:
            return to_tokens(x, self.tokens, self._place, valid=valid)
        narrow = to_float32(x)
        if not allow_nonfinite:
            require_finite(narrow, x, self._place, valid=valid, advice=ALLOW)
        return narrow

    def _place(self, index: tuple[int, ...]) -> str:
        names = ("sequence", "step", "feature")
        return f"{self.file}: " + ", ".join(f"{name} [{one}]" for name, one in zip(names, index, strict=False))

    def require_shape(self, x: NDArray[Any]) -> None:
        """Raise a `DataError` where the shape of x does not fit.

        ONNX Runtime aborts the whole process on an empty batch and on no steps.
        """
        shape = tuple(x.shape)
        wanted = f"(batch, time, {self.features})" if self.features else "(batch, time)"
        if len(shape) != (3 if self.features else 2) or (self.features and shape[2] != self.features):
            raise DataError(f"{self.file}: takes {wanted}, got {shape}; reshape the input")
        if 0 in shape:
            raise DataError(f"{self.file}: needs at least one sequence and one step, got {shape}")
        if self.steps is not None and shape[1] != self.steps:
            raise DataError(
                f"{self.file}: takes exactly {self.steps} steps, since it was exported so, got {shape[1]}; give that "
                "many, or export the run with another lowering"
            )


class OnnxSession:
    """An exported file, for whole sequences or for chunks, loaded on one provider. Many threads may run it at once.

    Nothing of it is verified but that it needs no other file and no library: the seal and the golden output are
    `zoo.runtime.OnnxModel`'s.

    Args:
        path: the ``.onnx`` file.
        provider: ``cpu`` or ``cuda``.
        strict: keep float32 products in float32; otherwise as ONNX Runtime does by itself, which on CUDA means TF32.
        threads: of the CPU; as many as ONNX Runtime likes when None.
        content: the bytes of the file, where they have been read before.
        profile: where ONNX Runtime is to write what it runs and how long that takes, the start of a file's path; see
            `end_profile`.

    Raises:
        ProviderUnavailable: where the provider cannot run here.
        RunError: where the file is not a model that ONNX Runtime takes, or has other inputs than Recurrent Zoo writes.
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
        self.input = StepsInput.of(self._session, path, len(self.signature.vocabulary) if self.signature else 0)
        self.output_names = [output.name for output in self._session.get_outputs()]
        self.states = read_states(self.metadata, path)
        types = {one.name: one.type for one in self._session.get_inputs()}
        self.takes_lengths = LENGTHS in types
        told = {one.name: _ONNX_TYPES.get(str(one.initial.dtype)) for one in self.states}
        found = {name: kind for name, kind in types.items() if name not in (INPUT, LENGTHS)}
        if told != found or not {one.next_name for one in self.states} <= set(self.output_names):
            raise RunError(f"{path}: has other inputs or outputs than its metadata say; export the run again")

    def run(
        self,
        x: NDArray[Any],
        lengths: NDArray[Any] | None = None,
        states: Mapping[str, NDArray[Any]] | None = None,
        *,
        allow_nonfinite: bool = True,
    ) -> dict[str, NDArray[Any]]:
        """Sequences in the user's units -> each output by name, the states after the last step among them.

        Args:
            x: (batch, time, features) numbers or (batch, time) tokens.
            lengths: (batch,) valid steps of each sequence, of any integer dtype, where the model takes them; all are
                full when None.
            states: (batch, n) by name, where the model takes them; what is not given is as at a sequence's start.
            allow_nonfinite: whether numbers and states may be NaN or infinite. They may here, since a proof is to show
                what a file makes of them; a user's go through `zoo.runtime.OnnxModel`, which refuses them.

        Raises:
            DataError: where a shape, a dtype, a length, a token or a state's name does not fit, or what must be finite
                is not; with the place.
            RunError: where ONNX Runtime fails.
        """
        x = as_array(x, f"{self.path.name}: x")
        self.input.require_shape(x)
        lengths = None if lengths is None else as_array(lengths, f"{self.path.name}: lengths")
        self._refuse(x.shape, lengths)
        feeds: dict[str, NDArray[Any]] = {INPUT: self.input.feed(x, lengths, allow_nonfinite=allow_nonfinite)}
        if self.takes_lengths:
            feeds[LENGTHS] = np.full(len(x), x.shape[1]) if lengths is None else lengths.astype(np.int64)
        given = states or {}
        if unknown := sorted(given.keys() - {one.name for one in self.states}):
            names = ", ".join(one.name for one in self.states) or "none"
            raise DataError(f"{self.path.name}: takes no state {unknown[0]!r}; its states are: {names}")
        for one in self.states:
            value = given.get(one.name)
            feeds[one.name] = (
                one.at_start(len(x))
                if value is None
                else one.feed(value, len(x), self.path.name, allow_nonfinite=allow_nonfinite)
            )
        values = compute(self._session, self.path, self.output_names, feeds)
        return dict(zip(self.output_names, values, strict=True))

    def _refuse(self, shape: tuple[int, ...], lengths: NDArray[Any] | None) -> None:
        """Raise a `DataError` for lengths that do not fit: ONNX Runtime would read what it likes."""
        if lengths is None:
            return
        if not self.takes_lengths:
            raise DataError(f"{self.path.name}: takes no lengths; leave them out")
        if lengths.dtype.kind not in "iu":
            raise DataError(f"{self.path.name}: takes lengths of an integer dtype, got {lengths.dtype}")
        if lengths.shape != shape[:1] or lengths.min() < 1 or lengths.max() > shape[1]:
            raise DataError(f"{self.path.name}: needs a length from 1 to {shape[1]} for each of {shape[0]} sequences")

    def placement(self) -> list[PlacedNode]:
        """Every node that ran and the provider that ran it."""
        return placement(self._session)

    def end_profile(self) -> Path:
        """Stop profiling; returns the file that was written. Only of a session that was told to profile."""
        return Path(self._session.end_profiling())


def _read_signature(metadata: Mapping[str, str]) -> Signature | None:
    """The signature that an exported file carries; None where it carries none."""
    try:
        return Signature.from_dict(json.loads(metadata["signature"]))
    except (KeyError, TypeError, ValueError):
        return None
