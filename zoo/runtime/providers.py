"""ONNX Runtime's execution providers: availability, sessions and recorded placement. Does not need torch."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from zoo.errors import ProviderUnavailable, RunError
from zoo.runtime.cuda_libraries import missing_libraries

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
"""ONNX Runtime's name of each provider, by the name in options and reports."""

_RELU = (
    b'\x08\x08:3\n\x0c\n\x01x\x12\x01y"\x04Relu\x12\x01pZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)
"""ONNX file of one node: y = Relu(x), each one float32, opset 17, IR version 8. Stored as bytes, so that no library is
needed to build it."""


@dataclass(frozen=True)
class PlacedNode:
    """Node of the optimised graph, with its provider."""

    name: str
    operator: str
    provider: str
    """ONNX Runtime's name of the provider."""


@cache
def unavailable(provider: str) -> str | None:
    """Return why a provider cannot run on this machine, such as ``libcurand.so.10 not found``; None if it can.

    ONNX Runtime lists CUDA as available if it was compiled in, and falls back to the CPU without an error. So this
    function also searches and loads the libraries, and runs a model of one node. The result is cached.

    Args:
        provider: a key of `PROVIDERS`.
    """
    if PROVIDERS[provider] not in ort.get_available_providers():
        return (
            f"this build of ONNX Runtime has no {PROVIDERS[provider]}; install onnxruntime-gpu in place of onnxruntime"
        )
    if provider == "cpu":
        return None
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the missing libraries
        ort.preload_dlls()
    folder = Path(ort.__file__).parent / "capi"
    if libraries := list(missing_libraries(folder)):
        return f"{libraries[0]} not found" + (f", and {len(libraries) - 1} more" if libraries[1:] else "")
    try:
        for name in ("libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"):
            if (folder / name).is_file():
                ctypes.CDLL(str(folder / name), mode=os.RTLD_LAZY)
    except OSError as error:
        missing = re.match(r"(\S+): cannot open shared object file", str(error))
        return f"{missing[1]} not found" if missing else _one_line(error)
    return _start_fault(provider)


def _start_fault(provider: str) -> str | None:
    """Run a model of one node and return the error, such as a missing GPU or an old driver; None if it runs."""
    try:
        _start(_RELU, provider, {}).run(None, {"x": np.ones(1, np.float32)})
    except Exception as error:  # ONNX Runtime's errors share no public base
        return _one_line(error)
    return None


def session_options() -> Any:
    """Return the ONNX Runtime options common to all sessions: no log output, and the format fixed to ONNX.

    By default ONNX Runtime reads bytes with ``ORTM`` at positions 4 to 7, from 0, as its own flatbuffer format. An ONNX
    file can contain these bytes there; ONNX Runtime would then run another model than the one that was checked.
    Source: onnxruntime_session_options_config_keys.h, kOrtSessionOptionsConfigLoadModelFormat.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 4  # fatal only; errors are raised
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options


def _start(
    model: bytes,
    provider: str,
    provider_options: Mapping[str, str],
    threads: int | None = None,
    profile: Path | None = None,
    *,
    forbid_cpu: bool = False,
) -> Any:
    """Start an ONNX Runtime session; errors of ONNX Runtime are not converted."""
    options = session_options()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    providers: list[Any] = [(PROVIDERS[provider], dict(provider_options))]
    if forbid_cpu:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    elif provider != "cpu":
        providers.append(PROVIDERS["cpu"])  # for nodes that the provider does not support; `placement` lists them
    # With the fallback, a provider that fails at the start or later would be replaced by the CPU.
    session = ort.InferenceSession(model, options, providers=providers, enable_fallback=0)
    if PROVIDERS[provider] not in session.get_providers():  # ONNX Runtime drops a provider that does not load
        raise RuntimeError(f"ONNX Runtime could not start {PROVIDERS[provider]}")
    return session


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def start(
    content: bytes, path: Path, provider: str, *, strict: bool, threads: int | None, profile: Path | None = None
) -> Any:
    """Start an ONNX Runtime session for the bytes of a file; arguments and errors are those of `OnnxSession`."""
    if reason := unavailable(provider):
        raise ProviderUnavailable(f"{provider}: unavailable: {reason}")
    provider_options = {"use_tf32": "0" if strict else "1"} if provider == "cuda" else {}
    try:
        return _start(content, provider, provider_options, threads, profile)
    except Exception as error:  # ONNX Runtime's errors share no public base
        raise RunError(f"{path}: ONNX Runtime does not load it: {_one_line(error)}") from error


def refusal_without_cpu(content: bytes, provider: str) -> str | None:
    """Start a file on a provider with the CPU forbidden; return ONNX Runtime's error, or None if it starts.

    ONNX Runtime refuses if any node of the main graph is placed on the CPU. It places small computations of shapes
    there itself, to save copies, so a refusal is no evidence of a fault in the file. Source: inference_session.cc,
    https://github.com/microsoft/onnxruntime/pull/16016 and issues/17930.
    """
    try:
        _start(content, provider, {}, forbid_cpu=True)
    except Exception as error:  # ONNX Runtime's errors share no public base
        return _one_line(error)
    return None


def compute(session: Any, path: Path, names: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Run an ONNX Runtime session.

    Args:
        session: result of `start`.
        path: path of the file, for errors.
        names: names of the outputs to compute.
        feeds: every input by name, the sequences first.

    Returns:
        The outputs, in the order of ``names``.

    Raises:
        RunError: if ONNX Runtime fails, for example at a token outside the vocabulary.
    """
    try:
        values: list[NDArray[Any]] = session.run(names, feeds)
    except Exception as error:  # ONNX Runtime's errors share no public base
        shape = tuple(next(iter(feeds.values())).shape)
        raise RunError(f"{path}: ONNX Runtime fails on {shape}: {_one_line(error)}") from error
    return values


def placement(session: Any) -> list[PlacedNode]:
    """Return every node of a session's graph with its provider, from ONNX Runtime's record."""
    return [
        PlacedNode(node.name, node.op_type, part.ep_name)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    ]
