"""Running an exported model with ONNX Runtime, and proof of where it ran. Does not need torch."""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from zoo.errors import DataError, ProviderUnavailable, RunError
from zoo.signature import Signature

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""Our short names, and ONNX Runtime's."""

INPUT, LENGTHS = "x", "lengths"


@dataclass(frozen=True)
class PlacedNode:
    """One node of the graph as it ran."""

    name: str
    operator: str
    provider: str
    """ONNX Runtime's name of the provider that ran it."""


@cache
def unavailable(provider: str) -> str | None:
    """Why a provider cannot run on this machine, such as ``libcublasLt.so.13 not found``; None where it can.

    ONNX Runtime lists CUDA as available wherever it was compiled in, and falls back to the CPU without an error, so its
    word is not enough: the library is loaded here, and then a model of one node is run.
    """
    if PROVIDERS[provider] not in ort.get_available_providers():
        return (
            f"this build of ONNX Runtime has no {PROVIDERS[provider]}; install onnxruntime-gpu in place of onnxruntime"
        )
    if provider == "cpu":
        return None
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find
        ort.preload_dlls()
    folder = Path(ort.__file__).parent / "capi"
    try:
        for name in ("libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"):
            if (folder / name).is_file():
                ctypes.CDLL(str(folder / name), mode=os.RTLD_LAZY)
    except OSError as error:
        missing = re.match(r"(\S+): cannot open shared object file", str(error))
        return f"{missing[1]} not found" if missing else _in_short(error)
    return _start_fault(provider)


def _start_fault(provider: str) -> str | None:
    """Why a provider whose libraries are there still cannot run a model of one node: no GPU, or a driver too old."""
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "probe", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    try:
        _start(model.SerializeToString(), provider, {}).run(None, {"x": np.ones(1, np.float32)})
    except Exception as error:  # ONNX Runtime's errors share no public base
        return _in_short(error)
    return None


def _start(model: str | bytes, provider: str, provider_options: Mapping[str, str], threads: int | None = None) -> Any:
    """ONNX Runtime's session of a model, a path or bytes; raises ONNX Runtime's own errors."""
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what matters is raised
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    wanted: list[Any] = [(PROVIDERS[provider], dict(provider_options))]
    if provider != "cpu":
        wanted.append(PROVIDERS["cpu"])  # for nodes that the provider does not have; `placement` tells which
    # With the fallback a provider that fails, at the start or later, would leave everything to the CPU.
    session = ort.InferenceSession(model, options, providers=wanted, enable_fallback=0)
    if PROVIDERS[provider] not in session.get_providers():  # a provider that does not load is left out without an error
        raise RuntimeError(f"ONNX Runtime could not start {PROVIDERS[provider]}")
    return session


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def load(path: Path, provider: str, *, strict: bool, threads: int | None) -> Any:
    """ONNX Runtime's session of a file; arguments and errors are those of `OnnxSession`."""
    if reason := unavailable(provider):
        raise ProviderUnavailable(f"{provider}: unavailable: {reason}")
    if not path.is_file():
        raise RunError(f"{path}: does not exist; 'zoo export --onnx' makes it")
    provider_options = {"use_tf32": "0" if strict else "1"} if provider == "cuda" else {}
    try:
        return _start(str(path), provider, provider_options, threads)
    except Exception as error:  # ONNX Runtime's errors share no public base
        raise RunError(f"{path}: ONNX Runtime does not load it: {_in_short(error)}") from error


def compute(session: Any, path: Path, names: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Run ONNX Runtime's session of a file.

    Raises:
        RunError: where it fails, as it does at a token that the model does not know.
    """
    try:
        values: list[NDArray[Any]] = session.run(names, feeds)
    except Exception as error:  # ONNX Runtime's errors share no public base
        shape = tuple(feeds[INPUT].shape)
        raise RunError(f"{path}: ONNX Runtime fails on {shape}: {_in_short(error)}") from error
    return values


def placement(session: Any) -> list[PlacedNode]:
    """Every node that ran and the provider that ran it, as ONNX Runtime recorded it."""
    return [
        PlacedNode(node.name, node.op_type, part.ep_name)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    ]


def read_signature(metadata: Mapping[str, str], path: Path) -> Signature:
    """The signature that an exported file carries.

    Raises:
        RunError: where it carries none.
    """
    try:
        return Signature.from_dict(json.loads(metadata["signature"]))
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{path}: carries no signature, so Recurrent Zoo did not write it; export the run again"
        ) from error


@dataclass(frozen=True)
class StepsInput:
    """The input ``x`` of a file that Recurrent Zoo wrote."""

    file: str
    """The file's name, for errors."""
    features: int
    """Numbers in a step; 0 where steps are tokens."""

    @classmethod
    def of(cls, session: Any, path: Path) -> Self:
        """That of a session.

        Raises:
            RunError: where it has none.
        """
        found: Any = next((one for one in session.get_inputs() if one.name == INPUT), None)
        shape = [] if found is None else found.shape
        if len(shape) == 2 and found.type == "tensor(int64)":
            return cls(path.name, 0)
        if len(shape) == 3 and isinstance(shape[2], int):
            return cls(path.name, shape[2])
        raise RunError(
            f"{path}: does not take an input {INPUT!r} of (batch, time, features) numbers or (batch, time) tokens, "
            "so Recurrent Zoo did not write it; name a file that 'zoo export --onnx' made"
        )

    def feed(self, x: NDArray[Any]) -> NDArray[Any]:
        """x as ONNX Runtime is to be given it.

        Raises:
            DataError: where the shape does not fit. ONNX Runtime aborts the whole process on an empty batch and on no
                steps.
        """
        shape = tuple(x.shape)
        wanted = f"(batch, time, {self.features})" if self.features else "(batch, time)"
        if len(shape) != (3 if self.features else 2) or (self.features and shape[2] != self.features):
            raise DataError(f"{self.file}: takes {wanted}, got {shape}; reshape the input")
        if 0 in shape:
            raise DataError(f"{self.file}: needs at least one sequence and one step, got {shape}")
        return np.ascontiguousarray(x, dtype=np.float32 if self.features else np.int64)


class OnnxSession:
    """An exported model, loaded on one provider.

    Args:
        path: the ``.onnx`` file.
        provider: ``cpu`` or ``cuda``.
        strict: keep float32 products in float32; otherwise as ONNX Runtime does by itself, which on CUDA means TF32.
        threads: of the CPU; as many as ONNX Runtime likes when None.

    Raises:
        ProviderUnavailable: where the provider cannot run here.
        RunError: where the file is not a model that ONNX Runtime takes, or has another input than Recurrent Zoo writes.
    """

    def __init__(self, path: Path, provider: str = "cpu", *, strict: bool = True, threads: int | None = None) -> None:
        self._session = load(path, provider, strict=strict, threads=threads)
        names = {one.name for one in self._session.get_inputs()}
        self._input = StepsInput.of(self._session, path)
        if others := sorted(names - {INPUT, LENGTHS}):
            raise RunError(
                f"{path}: takes {others[0]!r} as well, so it is not for whole sequences; name a file that "
                "'zoo export --onnx' made without --streaming"
            )
        self.path = path
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.output_names = [output.name for output in self._session.get_outputs()]
        self.takes_lengths = LENGTHS in names

    def run(self, x: NDArray[Any], lengths: NDArray[Any] | None = None) -> dict[str, NDArray[Any]]:
        """Sequences in the user's units -> each output by name.

        Args:
            x: (batch, time, features) numbers or (batch, time) tokens.
            lengths: (batch,) valid steps of each sequence, where the model takes them; all are full when None.

        Raises:
            DataError: where a shape or a length does not fit.
            RunError: where ONNX Runtime fails, as it does at a token that the model does not know.
        """
        feeds = {INPUT: self._input.feed(x)}
        self._refuse(x.shape, lengths)
        if self.takes_lengths:
            feeds[LENGTHS] = np.full(len(x), x.shape[1]) if lengths is None else np.asarray(lengths, dtype=np.int64)
        values = compute(self._session, self.path, self.output_names, feeds)
        return dict(zip(self.output_names, values, strict=True))

    def _refuse(self, shape: tuple[int, ...], lengths: NDArray[Any] | None) -> None:
        """Raise a `DataError` for lengths that do not fit: ONNX Runtime would read what it likes."""
        if lengths is None:
            return
        if not self.takes_lengths:
            raise DataError(f"{self.path.name}: takes no lengths; leave them out")
        if lengths.shape != shape[:1] or lengths.min() < 1 or lengths.max() > shape[1]:
            raise DataError(f"{self.path.name}: needs a length from 1 to {shape[1]} for each of {shape[0]} sequences")

    def placement(self) -> list[PlacedNode]:
        """Every node that ran and the provider that ran it."""
        return placement(self._session)
