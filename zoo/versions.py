"""Versions of the packages that a result depends on."""

from __future__ import annotations

import platform
from importlib import metadata

from zoo.entry_points import entry_points

PACKAGES = ("torch", "onnx", "onnx-ir", "onnxscript", "onnxruntime-gpu", "onnxruntime", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of Python, of the installed PACKAGES and of every distribution with a plugin, by name."""
    result = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            result[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    for point in entry_points():
        name, _, version = point.distribution.partition(" ")
        result[name] = version
    return result
