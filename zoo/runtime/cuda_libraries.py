"""Missing libraries of ONNX Runtime's CUDA provider, and the packages that contain them. Does not need torch."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

CUDA_LIBRARY = "libonnxruntime_providers_cuda.so"
"""File name of the CUDA provider."""
LATE = ("libcudnn.so.9",)
"""Libraries that are loaded with the first operator that needs them, so that the provider's file is not linked to them.
Without cuDNN the provider starts, is assigned RNN, LSTM and GRU, and then fails on them:
https://github.com/microsoft/onnxruntime/pull/29252 (ONNX Runtime 1.31)."""

DRIVER = "NVIDIA's driver"
PACKAGES = {
    "libcublas": "nvidia-cublas",
    "libcublasLt": "nvidia-cublas",
    "libcuda": DRIVER,
    "libcudart": "nvidia-cuda-runtime",
    "libcudnn": "nvidia-cudnn",
    "libcufft": "nvidia-cufft",
    "libcurand": "nvidia-curand",
    "libnvrtc": "nvidia-cuda-nvrtc",
}
"""Source of a library, by its name up to the first dot: a PyPI package without the suffix for CUDA's version, or the
driver."""
UNVERSIONED = 13
"""First major version of CUDA whose packages, except cuDNN's, have no version in their names: nvidia-cublas and
nvidia-cudnn-cu13, but nvidia-cublas-cu12 (extras cuda and cudnn of onnxruntime-gpu 1.31:
https://pypi.org/project/onnxruntime-gpu/)."""
INSTALL = 'pip install "onnxruntime-gpu[cuda,cudnn]"'
"""Command that installs all of them except the driver, for the CUDA version of the installed onnxruntime-gpu."""
NO_DRIVER = "an NVIDIA GPU with NVIDIA's driver; no Python package contains either"
"""Advice where the driver is missing."""

_CUBLAS = re.compile(r"^\s*libcublas\.so\.(\d+)", re.MULTILINE)
_NOT_FOUND = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)


def missing_libraries(folder: Path) -> dict[str, str]:
    """Find the libraries that the CUDA provider needs and the system cannot load.

    Args:
        folder: folder of the provider's own library. Libraries of other packages are on no search path, so they must be
            loaded first, for example by ``onnxruntime.preload_dlls()``.

    Returns:
        For each missing library its package, the driver, or ``?`` where the source is unknown. Empty where ONNX Runtime
        has no CUDA provider. Without ``ldd`` only the libraries in LATE are checked.
    """
    library = folder / CUDA_LIBRARY
    if not library.is_file():
        return {}
    linked = _ldd(library)
    version = _CUBLAS.search(linked)
    cuda = int(version[1]) if version else UNVERSIONED
    return {name: _source(name, cuda) for name in (*unresolved_libraries(linked), *LATE) if not _loads(name)}


def remedies(missing: Mapping[str, str]) -> list[str]:
    """Return what to install so that CUDA can run, given the result of `missing_libraries`."""
    install = [INSTALL] if any(source != DRIVER for source in missing.values()) else []
    return [*install, NO_DRIVER] if DRIVER in missing.values() else install


def _source(library: str, cuda: int) -> str:
    """Return the package of a library for a major version of CUDA, or the driver; ``?`` where it is unknown."""
    package = PACKAGES.get(library.partition(".")[0], "?")
    unversioned = package in ("?", DRIVER) or (cuda >= UNVERSIONED and package != "nvidia-cudnn")
    return package if unversioned else f"{package}-cu{cuda}"


def unresolved_libraries(ldd_output: str) -> Sequence[str]:
    """Return the libraries that ``ldd`` reports as not found, in its order."""
    return _NOT_FOUND.findall(ldd_output)


def _ldd(library: Path) -> str:
    """Return the untranslated output of ``ldd`` for a library; empty where there is no ``ldd``, as outside Linux."""
    program = shutil.which("ldd")
    if program is None:
        return ""
    # Both paths come from this machine, and no shell interprets them.
    process = subprocess.run([program, library], capture_output=True, text=True, check=False, env={"LC_ALL": "C"})  # noqa: S603
    return process.stdout


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
