"""The libraries that ONNX Runtime's CUDA provider needs: which are missing, and what brings each. No torch needed."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

CUDA_LIBRARY = "libonnxruntime_providers_cuda.so"
LATE = ("libcudnn.so.9",)
"""Loaded when the first operator wants it, and so not among those that the provider's file names. Without cuDNN the
provider starts, takes RNN, LSTM and GRU, and then fails on them:
https://github.com/microsoft/onnxruntime/pull/29252 (ONNX Runtime 1.31)."""

DRIVER = "NVIDIA's driver"
PACKAGES = {
    "libcublas": "nvidia-cublas",
    "libcublasLt": "nvidia-cublas",
    "libcuda": DRIVER,
    "libcudart": "nvidia-cuda-runtime",
    "libcudnn": "nvidia-cudnn-cu13",
    "libcufft": "nvidia-cufft",
    "libcurand": "nvidia-curand",
    "libnvrtc": "nvidia-cuda-nvrtc",
}
"""What brings a library of CUDA 13, by the start of its name: a package of PyPI, or the driver."""
INSTALL = "pip install 'recurrent-zoo[cuda]'"
"""Installs all of them, but for the driver."""

_NOT_FOUND = re.compile(r"^\s*(\S+) => not found", re.MULTILINE)


def missing_libraries(folder: Path) -> dict[str, str]:
    """Each library that is needed and not found, and what brings it; nothing where that cannot be told.

    Args:
        folder: where the provider's own library is. What other packages bring has to be loaded before, as
            ``onnxruntime.preload_dlls()`` does, since no search path leads to it.
    """
    library = folder / CUDA_LIBRARY
    if not library.is_file():
        return {}
    wanted = (*not_found(_ldd(library)), *LATE)
    return {name: PACKAGES.get(name.partition(".")[0], "?") for name in wanted if not _loads(name)}


def not_found(told: str) -> Sequence[str]:
    """The libraries that ``ldd`` does not find, in its order."""
    return _NOT_FOUND.findall(told)


def _ldd(library: Path) -> str:
    """What ``ldd`` says, in no language but C; nothing where there is none, as outside Linux."""
    program = shutil.which("ldd")
    if program is None:
        return ""
    # ldd and the file are this machine's own, and no shell is in between.
    done = subprocess.run([program, library], capture_output=True, text=True, check=False, env={"LC_ALL": "C"})  # noqa: S603
    return done.stdout


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True
