"""The libraries that ONNX Runtime's CUDA provider needs: which are missing, and what brings each. No torch needed."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
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
    "libcudnn": "nvidia-cudnn",
    "libcufft": "nvidia-cufft",
    "libcurand": "nvidia-curand",
    "libnvrtc": "nvidia-cuda-nvrtc",
}
"""What brings a library, by the start of its name: a package of PyPI without what stands for CUDA's version, or the
driver."""
UNVERSIONED = 13
"""The CUDA from which on only cuDNN's package has it in its name: nvidia-cublas and nvidia-cudnn-cu13, but
nvidia-cublas-cu12 (the extras cuda and cudnn of onnxruntime-gpu 1.31: https://pypi.org/project/onnxruntime-gpu/)."""
INSTALL = 'pip install "onnxruntime-gpu[cuda,cudnn]"'
"""Installs all of them, but for the driver, for the CUDA that the installed onnxruntime-gpu is built for."""
NO_DRIVER = "an NVIDIA GPU with NVIDIA's driver; no Python package brings either"

_CUBLAS = re.compile(r"^\s*libcublas\.so\.(\d+)", re.MULTILINE)
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
    linked = _ldd(library)
    version = _CUBLAS.search(linked)
    cuda = int(version[1]) if version else UNVERSIONED
    return {name: _bringer(name, cuda) for name in (*unresolved_libraries(linked), *LATE) if not _loads(name)}


def remedies(missing: Mapping[str, str]) -> list[str]:
    """What a machine needs that lacks these libraries, as `missing_libraries` gives them, before it can use a GPU."""
    install = [INSTALL] if any(bringer != DRIVER for bringer in missing.values()) else []
    return [*install, NO_DRIVER] if DRIVER in missing.values() else install


def _bringer(library: str, cuda: int) -> str:
    """What brings a library for a version of CUDA; ``?`` where that is not known."""
    package = PACKAGES.get(library.partition(".")[0], "?")
    plain = package in ("?", DRIVER) or (cuda >= UNVERSIONED and package != "nvidia-cudnn")
    return package if plain else f"{package}-cu{cuda}"


def unresolved_libraries(told: str) -> Sequence[str]:
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
