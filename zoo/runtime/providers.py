"""What ONNX Runtime can run on here, its sessions, and proof of where they ran. Does not need torch."""

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
"""Our short names, and ONNX Runtime's."""

_RELU = (
    b'\x08\x08:3\n\x0c\n\x01x\x12\x01y"\x04Relu\x12\x01pZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)
"""An ONNX file of one node: y = Relu(x), of one float32 each, opset 17, IR version 8. As bytes, so that no library is
needed to make it."""


@dataclass(frozen=True)
class PlacedNode:
    """One node of the graph as it ran."""

    name: str
    operator: str
    provider: str
    """ONNX Runtime's name of the provider that ran it."""


@cache
def unavailable(provider: str) -> str | None:
    """Why a provider cannot run on this machine, such as ``libcurand.so.10 not found``; None where it can.

    ONNX Runtime lists CUDA as available wherever it was compiled in, and falls back to the CPU without an error, so its
    word is not enough: its libraries are looked for and loaded here, and then a model of one node is run.
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
    if lacking := list(missing_libraries(folder)):
        return f"{lacking[0]} not found" + (f", and {len(lacking) - 1} more" if lacking[1:] else "")
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
    try:
        _start(_RELU, provider, {}).run(None, {"x": np.ones(1, np.float32)})
    except Exception as error:  # ONNX Runtime's errors share no public base
        return _in_short(error)
    return None


def session_options() -> Any:
    """ONNX Runtime's options that every session here begins with: silent, and the file is read as ONNX.

    Left to itself, ONNX Runtime takes bytes whose 4th to 7th, from 0, are ``ORTM`` for its own format, a flatbuffer. An
    ONNX file can begin so, and would be another model to ONNX Runtime than to whoever checks it.
    Source: onnxruntime_session_options_config_keys.h, kOrtSessionOptionsConfigLoadModelFormat.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 4  # what matters is raised
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options


def _start(
    model: bytes,
    provider: str,
    provider_options: Mapping[str, str],
    threads: int | None = None,
    profile: Path | None = None,
    *,
    alone: bool = False,
) -> Any:
    """ONNX Runtime's session of a model; raises ONNX Runtime's own errors."""
    options = session_options()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    wanted: list[Any] = [(PROVIDERS[provider], dict(provider_options))]
    if alone:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    elif provider != "cpu":
        wanted.append(PROVIDERS["cpu"])  # for nodes that the provider does not have; `placement` tells which
    # With the fallback a provider that fails, at the start or later, would leave everything to the CPU.
    session = ort.InferenceSession(model, options, providers=wanted, enable_fallback=0)
    if PROVIDERS[provider] not in session.get_providers():  # a provider that does not load is left out without an error
        raise RuntimeError(f"ONNX Runtime could not start {PROVIDERS[provider]}")
    return session


def _in_short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def start(
    content: bytes, path: Path, provider: str, *, strict: bool, threads: int | None, profile: Path | None = None
) -> Any:
    """ONNX Runtime's session of a file's bytes; the other arguments and the errors are those of `OnnxSession`."""
    if reason := unavailable(provider):
        raise ProviderUnavailable(f"{provider}: unavailable: {reason}")
    provider_options = {"use_tf32": "0" if strict else "1"} if provider == "cuda" else {}
    try:
        return _start(content, provider, provider_options, threads, profile)
    except Exception as error:  # ONNX Runtime's errors share no public base
        raise RunError(f"{path}: ONNX Runtime does not load it: {_in_short(error)}") from error


def refusal_without_cpu(content: bytes, provider: str) -> str | None:
    """What ONNX Runtime says against running a file on a provider that is not the CPU, with the CPU forbidden; None
    where it starts.

    It refuses as soon as one node of the main graph, of whatever kind, is the CPU's. It puts small computations of
    shapes there by itself, to spare copies, so a refusal alone says nothing against a file. Source:
    inference_session.cc, https://github.com/microsoft/onnxruntime/pull/16016 and issues/17930.
    """
    try:
        _start(content, provider, {}, alone=True)
    except Exception as error:  # ONNX Runtime's errors share no public base
        return _in_short(error)
    return None


def compute(session: Any, path: Path, names: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Run ONNX Runtime's session of a file.

    Args:
        session: what `start` gave.
        path: of the file, for errors.
        names: of the outputs to give.
        feeds: every input by name, the sequences first.

    Raises:
        RunError: where it fails, as it does at a token that the model does not know.
    """
    try:
        values: list[NDArray[Any]] = session.run(names, feeds)
    except Exception as error:  # ONNX Runtime's errors share no public base
        shape = tuple(next(iter(feeds.values())).shape)
        raise RunError(f"{path}: ONNX Runtime fails on {shape}: {_in_short(error)}") from error
    return values


def placement(session: Any) -> list[PlacedNode]:
    """Every node that ran and the provider that ran it, as ONNX Runtime recorded it."""
    return [
        PlacedNode(node.name, node.op_type, part.ep_name)
        for part in session.get_provider_graph_assignment_info()
        for node in part.get_nodes()
    ]
