"""The page zoo/README.md: every public name in groups, with the first line of its docstring.

``python -m tests.support.api_page`` writes it anew.
"""

from __future__ import annotations

import ast
import inspect
import re
from functools import cached_property
from importlib import import_module
from itertools import pairwise
from typing import Any

import zoo
import zoo.errors
import zoo.runtime
import zoo.testing
from tests.support.paths import ROOT

PAGE = ROOT / "zoo" / "README.md"

HEAD = """# The API on one page

Every public name, with the first line of its docstring; `help(zoo.NAME)` shows the rest: shapes, units, arguments and
errors. Plugins and exporters use these names and no others. The rooms of this folder are described in
[CONTRIBUTING.md](../CONTRIBUTING.md).

<!-- made by `python -m tests.support.api_page` from the docstrings -->
"""

GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Build and use a run": (
        "[In a few lines](../README.md#from-python); step by step [in a notebook](../specs/book/tutorial.ipynb).",
        ("build", "load", "Run", "Metrics", "EpochRecord", "Proof", "Model"),
    ),
    "Your own module": (
        "Any `torch.nn.Module` with recurrent layers inside, without a spec.",
        (
            "export_module",
            "prove_module",
            "zoo.testing.assert_parity",
            "from_torch",
            "to_torch",
            "with_cells",
        ),
    ),
    "Your own cell": (
        "In twenty lines of PyTorch: [plugins/README.md](../plugins/README.md).",
        (
            "Cell",
            "CellConfig",
            "State",
            "Config",
            "Size",
            "Fraction",
            "reset_uniform",
            "Operator",
            "Kernel",
            "hookimpl",
            "Layer",
            "Stack",
            "Direction",
            "Unrolled",
        ),
    ),
    "Your own data": (
        "As arrays, or as a source that specs can name: [specs/README.md](../specs/README.md#data).",
        (
            "inspect_data",
            "DataReport",
            "Dataset",
            "Split",
            "Signature",
            "Scale",
            "DataSource",
            "standardisation",
            "vocabulary",
            "words",
            "TOKENIZERS",
            "Subwords",
            "TextForm",
            "encode",
            "UNKNOWN",
            "IGNORED",
            "open_data",
            "name_fault",
            "text_lines",
            "cell_number",
            "sorted_labels",
            "read_table",
            "Table",
            "TableConfig",
            "Dialect",
            "DateForm",
            "date_column",
            "read_idx",
            "require_memory",
        ),
    ),
    "Your own task": (
        "Head, loss, metrics and naive predictors: [specs/README.md](../specs/README.md#task).",
        (
            "Task",
            "TaskConfig",
            "Answers",
            "Statistics",
            "SoftmaxReadout",
            "SigmoidReadout",
            "MultilabelReadout",
            "RescaleReadout",
            "RateReadout",
            "SpreadReadout",
            "QuantileReadout",
            "step_cross_entropy",
            "class_metrics",
            "class_statistics",
            "class_frequencies",
            "class_table",
            "confusion_table",
            "ranking_metrics",
            "CLASS_METRICS",
        ),
    ),
    "Your own exporter": (
        "What the exporter in [exporters/zoo_onnx](../exporters/zoo_onnx/exporter.py) is made with.",
        (
            "Exporter",
            "ExportOptions",
            "Lowering",
            "ModuleSignature",
            "TensorSignature",
            "GraphSummary",
            "PredictedNode",
            "Dissection",
            "Difference",
            "Probe",
            "ModelValue",
            "StatePart",
            "state_parts",
            "Embedding",
            "OneHot",
            "Normaliser",
            "TableEncoder",
            "DropIn",
            "replace_layers",
            "is_of_a_cell",
            "raised_at",
            "running_line",
            "onnx_fault",
            "seal_onnx",
        ),
    ),
    "Running a file without torch": (
        "With NumPy and ONNX Runtime alone: [exporters/README.md](../exporters/README.md#the-file-in-a-program).",
        ("zoo.runtime.OnnxModel",),
    ),
    "Errors": (
        "The message of each is one line: where, what was found, what was expected, what to do.",
        (
            "ZooError",
            "UsageError",
            "SpecError",
            "DataError",
            "RunError",
            "TrainingError",
            "ExportError",
            "ParityError",
            "ProviderUnavailable",
            "PluginError",
            "zoo.errors.CellError",
            "zoo.errors.Interrupted",
        ),
    ),
}
"""Heading -> an introduction, and the names: those of `zoo` alone, others with their module."""
WITH_METHODS = ("Run", "Proof", "DataReport", "Dataset", "Cell", "zoo.runtime.OnnxModel")
"""Classes whose methods and properties have lines of their own."""


def public_names() -> set[str]:
    """Return every public name, as `GROUPS` has them."""
    names = set(zoo.__all__)
    for module in (zoo.runtime, zoo.testing):
        names |= {f"{module.__name__}.{name}" for name in getattr(module, "__all__", _own(module))}
    return names | {f"zoo.errors.{name}" for name in _own(zoo.errors) if name not in names}


def _own(module: Any) -> list[str]:
    """Return the public classes and functions that a module defines."""
    return [name for name, item in vars(module).items() if name[0] != "_" and _home(item) == module.__name__]


def _home(item: object) -> object:
    return item.__module__ if inspect.isclass(item) or inspect.isfunction(item) else None


def item_of(name: str) -> Any:
    """Return the item of a name in `GROUPS`."""
    module, _, own = name.rpartition(".")
    return getattr(import_module(module or "zoo"), own)


def docstring_of(name: str) -> str:
    """Return the docstring of a name in `GROUPS`; for a value, the string below its assignment. Empty without one."""
    item = item_of(name)
    if inspect.isclass(item) or inspect.isfunction(item):
        return inspect.cleandoc(item.__doc__ or "")
    body = ast.parse(inspect.getsource(import_module(zoo._MODULE_OF[name]))).body
    for statement, following in pairwise(body):
        assigned = isinstance(statement, ast.Assign | ast.AnnAssign) and name in _assigned(statement)
        if assigned and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            return inspect.cleandoc(str(following.value.value))
    return ""


def _assigned(statement: ast.Assign | ast.AnnAssign) -> list[str]:
    """Return the names that a statement assigns."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def methods(name: str) -> dict[str, str]:
    """Return the docstring of each public method and property of a class, by its name with that of the class.

    Methods of torch that a class overrides are left out.
    """
    item = item_of(name)
    foreign = [base for base in item.__mro__[1:] if not base.__module__.startswith("zoo")]
    docstrings = {}
    for key, value in vars(item).items():
        function = getattr(value, "__func__", value)  # of a class method
        shown = inspect.isfunction(function) or isinstance(value, property | cached_property)
        if shown and key[0] != "_" and not any(hasattr(base, key) for base in foreign):
            docstrings[f"{item.__name__}.{key}"] = inspect.cleandoc(function.__doc__ or "")
    return docstrings


def render() -> str:
    """Return the page."""
    parts = [HEAD]
    for heading, (introduction, names) in GROUPS.items():
        rows = [f"## {heading}", "", introduction, "", "| name | |", "|---|---|"]
        for name in names:
            shown = name if name.startswith("zoo.") else f"zoo.{name}"
            rows.append(f"| `{shown}` | {_first(docstring_of(name))} |")
            if name in WITH_METHODS:
                rows += [f"| `{method}` | {_first(text)} |" for method, text in methods(name).items()]
        parts.append("\n".join([*rows, ""]))
    return "\n".join(parts)


def _first(docstring: str) -> str:
    """Return the first sentence of a docstring in Markdown, on one line."""
    sentence = " ".join(docstring.partition("\n\n")[0].split())
    return re.sub(r"``?([^`]+)``?", r"`\1`", sentence).replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
