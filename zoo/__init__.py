"""Recurrent Zoo: recurrent networks from a spec, with ONNX export that is proven.

These are the public names: plugins and exporters import nothing else of this package. They are loaded when first used,
so that ``import zoo`` costs nothing and commands that need no torch never load it.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.cell import Cell, CellConfig, Kernel, Operator, State, reset_uniform
    from zoo.cell_code import is_of_a_cell, raised_at, running_line
    from zoo.config import Config, Fraction, Size
    from zoo.csvfile import MISSING_MARKS, cell_number, csv_rows, not_a_number, show_cell, text_lines
    from zoo.datafile import name_fault, open_data
    from zoo.dataset import IGNORED, Dataset, DataSource, Split, standardisation
    from zoo.dissection import Difference, Dissection, ModelValue, Probe
    from zoo.encoder import Embedding, Normaliser, OneHot
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
    from zoo.exporter import Exporter, ExportOptions, GraphSummary, Lowering, PredictedNode
    from zoo.hookspecs import hookimpl
    from zoo.idx import read_idx
    from zoo.memory import require_memory
    from zoo.metrics import CLASS_METRICS, class_frequencies, class_metrics, class_statistics, step_cross_entropy
    from zoo.model import Model
    from zoo.readout import RescaleReadout, SigmoidReadout, SoftmaxReadout
    from zoo.recurrent import Direction, Layer, Stack
    from zoo.runtime.onnx_contents import onnx_fault
    from zoo.runtime.onnx_seal import seal_onnx
    from zoo.signature import Scale, Signature
    from zoo.states import StatePart
    from zoo.task import Answers, Statistics, Task, TaskConfig
    from zoo.tokens import UNKNOWN, encode, vocabulary, words

__version__ = metadata.version("recurrent-zoo")

_HOME = {
    "zoo.cell": ("Cell", "CellConfig", "Kernel", "Operator", "State", "reset_uniform"),
    "zoo.cell_code": ("is_of_a_cell", "raised_at", "running_line"),
    "zoo.config": ("Config", "Fraction", "Size"),
    "zoo.csvfile": ("MISSING_MARKS", "cell_number", "csv_rows", "not_a_number", "show_cell", "text_lines"),
    "zoo.datafile": ("name_fault", "open_data"),
    "zoo.dataset": ("IGNORED", "Dataset", "DataSource", "Split", "standardisation"),
    "zoo.dissection": ("Difference", "Dissection", "ModelValue", "Probe"),
    "zoo.encoder": ("Embedding", "Normaliser", "OneHot"),
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
    "zoo.exporter": ("ExportOptions", "Exporter", "GraphSummary", "Lowering", "PredictedNode"),
    "zoo.hookspecs": ("hookimpl",),
    "zoo.idx": ("read_idx",),
    "zoo.memory": ("require_memory",),
    "zoo.metrics": ("CLASS_METRICS", "class_frequencies", "class_metrics", "class_statistics", "step_cross_entropy"),
    "zoo.model": ("Model",),
    "zoo.runtime.onnx_contents": ("onnx_fault",),
    "zoo.runtime.onnx_seal": ("seal_onnx",),
    "zoo.readout": ("RescaleReadout", "SigmoidReadout", "SoftmaxReadout"),
    "zoo.recurrent": ("Direction", "Layer", "Stack"),
    "zoo.signature": ("Scale", "Signature"),
    "zoo.states": ("StatePart",),
    "zoo.task": ("Answers", "Statistics", "Task", "TaskConfig"),
    "zoo.tokens": ("UNKNOWN", "encode", "vocabulary", "words"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "CLASS_METRICS",
    "IGNORED",
    "MISSING_MARKS",
    "UNKNOWN",
    "Answers",
    "Cell",
    "CellConfig",
    "Config",
    "DataError",
    "DataSource",
    "Dataset",
    "Difference",
    "Direction",
    "Dissection",
    "Embedding",
    "EpochRecord",
    "ExportError",
    "ExportOptions",
    "Exporter",
    "Fraction",
    "GraphSummary",
    "Kernel",
    "Layer",
    "Lowering",
    "Model",
    "ModelValue",
    "Normaliser",
    "OneHot",
    "Operator",
    "ParityError",
    "PluginError",
    "PredictedNode",
    "Probe",
    "ProviderUnavailable",
    "RescaleReadout",
    "RunError",
    "Scale",
    "SigmoidReadout",
    "Signature",
    "Size",
    "SoftmaxReadout",
    "SpecError",
    "Split",
    "Stack",
    "State",
    "StatePart",
    "Statistics",
    "Task",
    "TaskConfig",
    "TrainingError",
    "UsageError",
    "ZooError",
    "cell_number",
    "class_frequencies",
    "class_metrics",
    "class_statistics",
    "csv_rows",
    "encode",
    "hookimpl",
    "is_of_a_cell",
    "name_fault",
    "not_a_number",
    "onnx_fault",
    "open_data",
    "raised_at",
    "read_idx",
    "require_memory",
    "reset_uniform",
    "running_line",
    "seal_onnx",
    "show_cell",
    "standardisation",
    "step_cross_entropy",
    "text_lines",
    "vocabulary",
    "words",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
