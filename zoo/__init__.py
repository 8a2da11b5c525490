"""Recurrent Zoo: recurrent networks from a spec, with ONNX export that is proven.

These are the public names: plugins and exporters import nothing else of this package. They are loaded when first used,
so that ``import zoo`` costs nothing and commands that need no torch never load it.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING

from pluggy import HookimplMarker

if TYPE_CHECKING:
    from zoo.cell import Cell, CellConfig, Kernel, Operator, State, reset_uniform
    from zoo.config import Config, Fraction, Size
    from zoo.dataset import Dataset, DataSource, Split, standardisation
    from zoo.engine import EpochRecord
    from zoo.errors import (
        DataError,
        ExportError,
        ParityError,
        PluginError,
        ProviderUnavailable,
        RunError,
        SpecError,
        TrainingError,
        UsageError,
        ZooError,
    )
    from zoo.exporter import Exporter, GraphSummary
    from zoo.idx import read_idx
    from zoo.model import Model, Normaliser, SoftmaxReadout
    from zoo.recurrent import Direction, Layer, Stack
    from zoo.task import Statistics, Task

__version__ = metadata.version("recurrent-zoo")

hookimpl = HookimplMarker("zoo")
"""Marks a plugin's function as the implementation of the hook of the same name."""

_HOME = {
    "zoo.cell": ("Cell", "CellConfig", "Kernel", "Operator", "State", "reset_uniform"),
    "zoo.config": ("Config", "Fraction", "Size"),
    "zoo.dataset": ("Dataset", "DataSource", "Split", "standardisation"),
    "zoo.engine": ("EpochRecord",),
    "zoo.errors": (
        "DataError",
        "ExportError",
        "ParityError",
        "PluginError",
        "ProviderUnavailable",
        "RunError",
        "SpecError",
        "TrainingError",
        "UsageError",
        "ZooError",
    ),
    "zoo.exporter": ("Exporter", "GraphSummary"),
    "zoo.idx": ("read_idx",),
    "zoo.model": ("Model", "Normaliser", "SoftmaxReadout"),
    "zoo.recurrent": ("Direction", "Layer", "Stack"),
    "zoo.task": ("Statistics", "Task"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Cell",
    "CellConfig",
    "Config",
    "DataError",
    "DataSource",
    "Dataset",
    "Direction",
    "EpochRecord",
    "ExportError",
    "Exporter",
    "Fraction",
    "GraphSummary",
    "Kernel",
    "Layer",
    "Model",
    "Normaliser",
    "Operator",
    "ParityError",
    "PluginError",
    "ProviderUnavailable",
    "RunError",
    "Size",
    "SoftmaxReadout",
    "SpecError",
    "Split",
    "Stack",
    "State",
    "Statistics",
    "Task",
    "TrainingError",
    "UsageError",
    "ZooError",
    "hookimpl",
    "read_idx",
    "reset_uniform",
    "standardisation",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
