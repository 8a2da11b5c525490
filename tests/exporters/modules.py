"""Export of modules in tests: an exported module in ONNX Runtime beside its exact results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

import zoo
from zoo_onnx import OnnxExporter

ROUNDINGS = 100
"""Largest error in units of float32's roundoff of the largest value.

The longest sums in the modules here have below 50 terms, so that a sum is within 50 roundings (Higham 2002, section
3.1). A few such sums follow each other between input and output. Recurrence adds none: the weights are initial ones,
with which gates forget errors faster than steps add them.
"""
SHAPES = ((3, 7), (1, 1), (3, 1), (1, 5), (64, 5), (3, 200))
"""Batch and steps; the first is traced."""


def export(net: nn.Module, args: Sequence[Any], path: Path, **options: Any) -> zoo.ModuleSignature:
    """Export a module with example arguments."""
    fixed = options.pop("fixed", None)
    return OnnxExporter().export_module(net, tuple(args), path, {}, zoo.ExportOptions(**options), fixed)


def exact(net: nn.Module, args: Sequence[Any]) -> list[Tensor]:
    """Return the results of a module in float64, step by step in the cells' own operations."""
    wide = pytree.tree_map(
        lambda value: value.double() if isinstance(value, Tensor) and value.is_floating_point() else value, tuple(args)
    )
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            results = zoo.with_cells(net).double()(*wide)
    finally:
        torch.set_default_dtype(default)
    return [value for value in pytree.tree_leaves(results) if isinstance(value, Tensor)]


def run(path: Path, args: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """Return the outputs of a file."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    tensors = [value for value in pytree.tree_leaves(tuple(args)) if isinstance(value, Tensor)]
    names = [value.name for value in session.get_inputs()]
    feeds = {name: value.numpy() for name, value in zip(names, tensors, strict=True)}
    return cast("list[np.ndarray[Any, Any]]", session.run(None, feeds))


def worst_error(net: nn.Module, path: Path, args: Sequence[Any]) -> float:
    """Return the largest error of a file's outputs, in float32's roundoffs of the largest value."""
    worst = 0.0
    for actual, expected in zip(run(path, args), exact(net, args), strict=True):
        assert actual.shape == tuple(expected.shape)
        if expected.is_floating_point():
            scale = max(1.0, float(expected.abs().max()))
            error = float(np.abs(actual - expected.numpy()).max()) / scale / 2**-24
            worst = max(worst, error if error == error else np.inf)
        else:
            assert np.array_equal(actual, expected.numpy())
    return worst


def assert_agrees(net: nn.Module, path: Path, args: Sequence[Any]) -> None:
    """Assert that a file agrees with its module."""
    error = worst_error(net, path, args)
    assert error <= ROUNDINGS, f"error of {error:.3g} roundings"
