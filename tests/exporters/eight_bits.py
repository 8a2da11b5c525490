"""Emulation of 8-bit products on processors without VNNI, files of earlier versions, and cells with tied weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import zoo
from zoo.runtime.onnx_seal import SEAL
from zoo_onnx import OnnxExporter

Whole = NDArray[Any]


def cut_off(x: Whole, weight: Whole) -> NDArray[np.int64]:
    """Multiply (rows, n) uint8 by (n, m); two adjacent products with int8 are added in 16 bits with saturation.

    This is Intel's VPMADDUBSW; uint8 by uint8 is added in 32 bits (VPMADDWD).
    """
    products = x.astype(np.int64)[:, :, None] * weight.astype(np.int64)
    if weight.dtype == np.uint8:
        return np.asarray(products.sum(1))
    pairs = np.pad(products, ((0, 0), (0, products.shape[1] % 2), (0, 0))).reshape(len(x), -1, 2, weight.shape[1])
    return np.asarray(pairs.sum(2).clip(-(2**15), 2**15 - 1).sum(1))


def exact(x: Whole, weight: Whole) -> NDArray[np.int64]:
    """Multiply (rows, n) by (n, m) without saturation."""
    return np.asarray(x.astype(np.int64) @ weight.astype(np.int64))


def weights(path: Path) -> Iterator[tuple[str, Whole]]:
    """Yield the node's name and the matrix (n, m) of every product in 8 bits."""
    for node in ir.traversal.RecursiveGraphIterator(ir.load(path).graph):
        for place in {"MatMulInteger": [1], "DynamicQuantizeLSTM": [1, 2]}.get(node.op_type, []):
            value = node.inputs[place]
            assert value is not None
            assert value.const_value is not None
            array = value.const_value.numpy()
            yield from ((str(node.name), matrix) for matrix in (array if array.ndim == 3 else array[None]))


def as_int8(path: Path) -> Path:
    """Rewrite a file with weights from -127 to 127 in int8, as earlier versions wrote it."""
    model = ir.load(path)
    for value in model.graph.initializers.values():
        assert value.const_value is not None
        if value.dtype == ir.DataType.UINT8:
            array = (value.const_value.numpy().astype(np.int16) - 128).astype(np.int8)
            value.const_value = ir.tensor(array, name=value.name)
            value.type = ir.TensorType(ir.DataType.INT8)
    del model.metadata_props[SEAL]  # saved with the other entries, it would not be at the end
    ir.save(model, path)
    OnnxExporter().annotate(path, {})
    return path


class _Tied(zoo.Cell):
    """A cell with two states and one weight for both."""

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden, hidden), output_size=hidden)
        self.x2h = nn.Linear(input_size, hidden)
        self.h2h = nn.Linear(hidden, hidden)

    def project(self, x: Tensor) -> Tensor:
        projected: Tensor = self.x2h(x)
        return projected


class WeightTwice(_Tied):
    """The weight multiplies both states."""

    name = "weight_twice"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        h = torch.tanh(x + self.h2h(h))
        return h, (h, torch.tanh(self.h2h(c) + h))


class WeightTurned(_Tied):
    """The weight multiplies one state, and its transpose the other."""

    name = "weight_turned"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        h = torch.tanh(x + self.h2h(h))
        return h, (h, torch.tanh(c @ self.h2h.weight + h))


TIED: Mapping[str, type[zoo.Cell]] = {cell.name: cell for cell in (WeightTwice, WeightTurned)}
"""By name."""
