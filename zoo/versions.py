"""The versions of everything that a result depends on."""

from __future__ import annotations

import platform
from importlib import metadata

from zoo.entry_points import entry_points

PACKAGES = ("torch", "onnx", "onnx-ir", "onnxruntime-gpu", "onnxruntime", "numpy")


def versions() -> dict[str, str]:
    """Python, the packages that compute, and every distribution that brings a plugin."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    for point in entry_points():
        name, _, version = point.distribution.partition(" ")
        found[name] = version
    return found
