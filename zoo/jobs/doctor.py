"""What this machine can do, and what is missing."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import onnxruntime as ort
import torch

from zoo.plugins.registry import Registry
from zoo.runtime.cuda_libraries import missing_libraries, remedies
from zoo.runtime.providers import PROVIDERS, unavailable
from zoo.versions import versions

CUDNN = 9
"""The major version of cuDNN that ONNX Runtime from 1.18 on needs:
https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#requirements."""


def examine(registry: Registry) -> dict[str, Any]:
    """Versions, devices, providers and faults, each fault with its remedy."""
    return {
        "versions": versions(),
        "machine": {"system": platform.platform(), "cores": os.cpu_count() or 1},
        "torch_devices": _torch_devices(),
        "providers": {name: unavailable(name) or "ready" for name in PROVIDERS},
        "cuda": _cuda(),
        "faults": [*_installation_faults(), *registry.faults],
    }


def _cuda() -> dict[str, Any]:
    """What CUDA takes, and what there is of it. A machine without a GPU may lack all of it."""
    unavailable("cuda")  # which loads what other packages bring
    missing = missing_libraries(Path(ort.__file__).parent / "capi")
    cudnn = torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None
    return {
        "onnxruntime_for": getattr(ort, "cuda_version", "") or None,
        "torch_for": torch.version.cuda,
        "torch_cudnn": None if cudnn is None else _cudnn_major(cudnn),
        "missing": missing,
        "remedies": remedies(missing),
        "NVIDIA_TF32_OVERRIDE": os.environ.get("NVIDIA_TF32_OVERRIDE"),
    }


def _cudnn_major(version: int) -> int:
    """8902 -> 8, 90100 -> 9: from 9 on the major version stands before four digits (cudnn_version.h)."""
    return version // 10_000 if version >= 10_000 else version // 1000


def mismatches(cuda: Mapping[str, Any]) -> list[str]:
    """Where the CUDA or the cuDNN of torch is another one than ONNX Runtime was built for: in one process only one of
    them is loaded."""
    found = []
    ours, theirs = cuda["onnxruntime_for"], cuda["torch_for"]
    if ours and theirs and ours.partition(".")[0] != theirs.partition(".")[0]:
        found.append(
            f"torch is built for CUDA {theirs} and ONNX Runtime for CUDA {ours}; install a torch for CUDA "
            f"{ours.partition('.')[0]}, or an onnxruntime-gpu for CUDA {theirs.partition('.')[0]}"
        )
    if cuda["torch_cudnn"] not in (None, CUDNN):
        found.append(
            f"torch brings cuDNN {cuda['torch_cudnn']} and ONNX Runtime needs cuDNN {CUDNN}; install a newer torch"
        )
    return found


def _torch_devices() -> list[str]:
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ["cpu", *gpus]


def _installation_faults() -> list[str]:
    installed = {name for name in ("onnxruntime", "onnxruntime-gpu") if _is_installed(name)}
    faults = []
    if len(installed) == 2:
        faults.append(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other; "
            "pip uninstall both, then pip install onnxruntime-gpu"
        )
    if not torch.cuda.is_available():
        return faults
    cuda = _cuda()
    if reason := unavailable("cuda"):
        lacking = ", ".join(f"{name} ({bringer})" for name, bringer in cuda["missing"].items()) or reason
        faults.append("; ".join([f"torch sees a GPU and ONNX Runtime cannot use it: {lacking}", *cuda["remedies"]]))
    return [*faults, *mismatches(cuda)]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
