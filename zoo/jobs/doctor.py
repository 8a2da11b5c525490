"""Diagnosis of a machine: versions, devices, providers, and what is missing."""

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
    """Return versions, devices, providers and faults, ready for JSON.

    Args:
        registry: gives the faults of plugins.

    Returns:
        ``versions``, ``machine``, ``torch_devices``, ``providers`` (``ready`` or the reason why not), ``cuda`` and
        ``faults``, a line of text each, with its remedy.
    """
    return {
        "versions": versions(),
        "machine": {"system": platform.platform(), "cores": os.cpu_count() or 1},
        "torch_devices": _torch_devices(),
        "providers": {name: unavailable(name) or "ready" for name in PROVIDERS},
        "cuda": _cuda(),
        "faults": [*_installation_faults(), *registry.faults],
    }


def _cuda() -> dict[str, Any]:
    """Return the versions of CUDA and cuDNN, and the libraries that are missing for the CUDA provider."""
    unavailable("cuda")  # loads the CUDA libraries of other packages
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
    """Return the major version: 8902 -> 8, 90100 -> 9; from 9 on four digits follow it (cudnn_version.h)."""
    return version // 10_000 if version >= 10_000 else version // 1000


def mismatches(cuda: Mapping[str, Any]) -> list[str]:
    """Return a fault for each library, CUDA or cuDNN, of which torch and ONNX Runtime need different major versions.

    A process loads only one version of each.

    Args:
        cuda: the entry ``cuda`` of `examine`.
    """
    faults = []
    onnxruntime, torch_ = cuda["onnxruntime_for"], cuda["torch_for"]
    if onnxruntime and torch_ and onnxruntime.partition(".")[0] != torch_.partition(".")[0]:
        faults.append(
            f"torch is built for CUDA {torch_} and ONNX Runtime for CUDA {onnxruntime}; install a torch for CUDA "
            f"{onnxruntime.partition('.')[0]}, or an onnxruntime-gpu for CUDA {torch_.partition('.')[0]}"
        )
    if cuda["torch_cudnn"] not in (None, CUDNN):
        faults.append(
            f"torch contains cuDNN {cuda['torch_cudnn']} and ONNX Runtime needs cuDNN {CUDNN}; install a newer torch"
        )
    return faults


def _torch_devices() -> list[str]:
    """Return ``cpu`` and the names of the GPUs that torch finds."""
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ["cpu", *gpus]


def _installation_faults() -> list[str]:
    """Return the faults of the installed packages and libraries, each with its remedy."""
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
        missing = ", ".join(f"{name} ({package})" for name, package in cuda["missing"].items()) or reason
        faults.append("; ".join([f"torch finds a GPU and ONNX Runtime cannot use it: {missing}", *cuda["remedies"]]))
    return [*faults, *mismatches(cuda)]


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
