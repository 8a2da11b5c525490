"""What this machine can do, and what is missing."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

import torch

from zoo.plugins import Registry
from zoo.providers import PROVIDERS, unavailable
from zoo.versions import versions


def examine(registry: Registry) -> dict[str, Any]:
    """Versions, devices, providers and faults, each fault with its remedy."""
    return {
        "versions": versions(),
        "machine": {"system": platform.platform(), "cores": os.cpu_count() or 1},
        "torch_devices": _torch_devices(),
        "providers": {name: unavailable(name) or "ready" for name in PROVIDERS},
        "faults": [*_installation_faults(), *registry.faults],
    }


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
    if torch.cuda.is_available() and (reason := unavailable("cuda")):
        faults.append(f"torch sees a GPU and ONNX Runtime cannot use it: {reason}; pip install 'recurrent-zoo[cuda]'")
    return faults


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
