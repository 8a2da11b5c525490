"""Recurrent Zoo: recurrent networks from a spec, with proven ONNX export.

This module exports the public names, the only ones that plugins and exporters may import. A name is loaded on first
use, so that ``import zoo`` is fast and commands that do not need torch never import it.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.config import Config, Fraction, Size
    from zoo.data.csvfile import cell_number, text_lines
    from zoo.data.datafile import name_fault, open_data
    from zoo.data.dataset import Dataset, DataSource, Split, standardisation
    from zoo.data.idx import read_idx
    from zoo.data.labels import sorted_labels
    from zoo.data.signature import IGNORED, Scale, Signature, TextForm
    from zoo.data.subwords import Subwords
    from zoo.data.tables.config import TableConfig
    from zoo.data.tables.date_column import date_column
    from zoo.data.tables.date_form import DateForm
    from zoo.data.tables.dialect import Dialect
    from zoo.data.tables.read import read_table
    from zoo.data.tables.table import Table
    from zoo.data.tokens import TOKENIZERS, UNKNOWN, encode, vocabulary, words
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
    from zoo.exporting.dissection import Difference, Dissection, ModelValue, Probe
    from zoo.exporting.exporter import Exporter, ExportOptions, GraphSummary, Lowering, PredictedNode
    from zoo.exporting.module import ModuleSignature, TensorSignature
    from zoo.jobs.data import DataReport
    from zoo.library.build import build
    from zoo.library.data import inspect_data
    from zoo.library.module import export_module, prove_module
    from zoo.library.results import Metrics, Proof
    from zoo.library.run import Run, load
    from zoo.memory import require_memory
    from zoo.nn.cell import Cell, CellConfig, Kernel, Operator, State, reset_uniform
    from zoo.nn.cell_code import is_of_a_cell, raised_at, running_line
    from zoo.nn.drop_in import DropIn, replace_layers, with_cells
    from zoo.nn.encoder import Embedding, Normaliser, OneHot, TableEncoder
    from zoo.nn.model import Model
    from zoo.nn.readout import (
        MultilabelReadout,
        QuantileReadout,
        RateReadout,
        RescaleReadout,
        SigmoidReadout,
        SoftmaxReadout,
        SpreadReadout,
    )
    from zoo.nn.recurrent import Direction, Layer, Stack, Unrolled
    from zoo.nn.states import StatePart, state_parts
    from zoo.nn.torch_layers import from_torch, to_torch
    from zoo.plugins.hookspecs import hookimpl
    from zoo.runtime.onnx_contents import onnx_fault
    from zoo.runtime.onnx_seal import seal_onnx
    from zoo.tasks.metrics import (
        CLASS_METRICS,
        class_frequencies,
        class_metrics,
        class_statistics,
        class_table,
        confusion_table,
        ranking_metrics,
        step_cross_entropy,
    )
    from zoo.tasks.task import Answers, Statistics, Task, TaskConfig
    from zoo.training.progress import EpochRecord

__version__ = metadata.version("recurrent-zoo")

_HOME = {
    "zoo.config": ("Config", "Fraction", "Size"),
    "zoo.data.csvfile": ("cell_number", "text_lines"),
    "zoo.data.datafile": ("name_fault", "open_data"),
    "zoo.data.dataset": ("Dataset", "DataSource", "Split", "standardisation"),
    "zoo.data.idx": ("read_idx",),
    "zoo.data.labels": ("sorted_labels",),
    "zoo.data.signature": ("IGNORED", "Scale", "Signature", "TextForm"),
    "zoo.data.subwords": ("Subwords",),
    "zoo.data.tables.config": ("TableConfig",),
    "zoo.data.tables.date_column": ("date_column",),
    "zoo.data.tables.date_form": ("DateForm",),
    "zoo.data.tables.dialect": ("Dialect",),
    "zoo.data.tables.read": ("read_table",),
    "zoo.data.tables.table": ("Table",),
    "zoo.data.tokens": ("TOKENIZERS", "UNKNOWN", "encode", "vocabulary", "words"),
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
    "zoo.exporting.dissection": ("Difference", "Dissection", "ModelValue", "Probe"),
    "zoo.exporting.exporter": ("ExportOptions", "Exporter", "GraphSummary", "Lowering", "PredictedNode"),
    "zoo.exporting.module": ("ModuleSignature", "TensorSignature"),
    "zoo.jobs.data": ("DataReport",),
    "zoo.library.build": ("build",),
    "zoo.library.data": ("inspect_data",),
    "zoo.library.module": ("export_module", "prove_module"),
    "zoo.library.results": ("Metrics", "Proof"),
    "zoo.library.run": ("Run", "load"),
    "zoo.memory": ("require_memory",),
    "zoo.nn.cell": ("Cell", "CellConfig", "Kernel", "Operator", "State", "reset_uniform"),
    "zoo.nn.cell_code": ("is_of_a_cell", "raised_at", "running_line"),
    "zoo.nn.drop_in": ("DropIn", "replace_layers", "with_cells"),
    "zoo.nn.encoder": ("Embedding", "Normaliser", "OneHot", "TableEncoder"),
    "zoo.nn.model": ("Model",),
    "zoo.nn.readout": (
        "MultilabelReadout",
        "QuantileReadout",
        "RateReadout",
        "RescaleReadout",
        "SigmoidReadout",
        "SoftmaxReadout",
        "SpreadReadout",
    ),
    "zoo.nn.recurrent": ("Direction", "Layer", "Stack", "Unrolled"),
    "zoo.nn.states": ("StatePart", "state_parts"),
    "zoo.nn.torch_layers": ("from_torch", "to_torch"),
    "zoo.plugins.hookspecs": ("hookimpl",),
    "zoo.runtime.onnx_contents": ("onnx_fault",),
    "zoo.runtime.onnx_seal": ("seal_onnx",),
    "zoo.tasks.metrics": (
        "CLASS_METRICS",
        "class_frequencies",
        "class_metrics",
        "class_statistics",
        "class_table",
        "confusion_table",
        "ranking_metrics",
        "step_cross_entropy",
    ),
    "zoo.tasks.task": ("Answers", "Statistics", "Task", "TaskConfig"),
    "zoo.training.progress": ("EpochRecord",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "CLASS_METRICS",
    "IGNORED",
    "TOKENIZERS",
    "UNKNOWN",
    "Answers",
    "Cell",
    "CellConfig",
    "Config",
    "DataError",
    "DataReport",
    "DataSource",
    "Dataset",
    "DateForm",
    "Dialect",
    "Difference",
    "Direction",
    "Dissection",
    "DropIn",
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
    "Metrics",
    "Model",
    "ModelValue",
    "ModuleSignature",
    "MultilabelReadout",
    "Normaliser",
    "OneHot",
    "Operator",
    "ParityError",
    "PluginError",
    "PredictedNode",
    "Probe",
    "Proof",
    "ProviderUnavailable",
    "QuantileReadout",
    "RateReadout",
    "RescaleReadout",
    "Run",
    "RunError",
    "Scale",
    "SigmoidReadout",
    "Signature",
    "Size",
    "SoftmaxReadout",
    "SpecError",
    "Split",
    "SpreadReadout",
    "Stack",
    "State",
    "StatePart",
    "Statistics",
    "Subwords",
    "Table",
    "TableConfig",
    "TableEncoder",
    "Task",
    "TaskConfig",
    "TensorSignature",
    "TextForm",
    "TrainingError",
    "Unrolled",
    "UsageError",
    "ZooError",
    "build",
    "cell_number",
    "class_frequencies",
    "class_metrics",
    "class_statistics",
    "class_table",
    "confusion_table",
    "date_column",
    "encode",
    "export_module",
    "from_torch",
    "hookimpl",
    "inspect_data",
    "is_of_a_cell",
    "load",
    "name_fault",
    "onnx_fault",
    "open_data",
    "prove_module",
    "raised_at",
    "ranking_metrics",
    "read_idx",
    "read_table",
    "replace_layers",
    "require_memory",
    "reset_uniform",
    "running_line",
    "seal_onnx",
    "sorted_labels",
    "standardisation",
    "state_parts",
    "step_cross_entropy",
    "text_lines",
    "to_torch",
    "vocabulary",
    "with_cells",
    "words",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
