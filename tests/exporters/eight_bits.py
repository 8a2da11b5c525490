"""Products in 8 bits as processors without VNNI compute them, files of earlier versions, and tied weights."""

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
from zoo_onnx import OnnxExporter

Whole = NDArray[Any]


def cut_off(x: Whole, weight: Whole) -> NDArray[np.int64]:
    """(rows, n) uint8 with (n, m): two neighbouring products with int8 are added up in 16 bits with saturation.

    That is Intel's VPMADDUBSW; uint8 with uint8 is added up in 32 bits (VPMADDWD).
    """
    products = x.astype(np.int64)[:, :, None] * weight.astype(np.int64)
    if weight.dtype == np.uint8:
        return np.asarray(products.sum(1))
    pairs = np.pad(products, ((0, 0), (0, products.shape[1] % 2), (0, 0))).reshape(len(x), -1, 2, weight.shape[1])
    return np.asarray(pairs.sum(2).clip(-(2**15), 2**15 - 1).sum(1))


def exact(x: Whole, weight: Whole) -> NDArray[np.int64]:
    """The same without a limit."""
    return np.asarray(x.astype(np.int64) @ weight.astype(np.int64))


def weights(path: Path) -> Iterator[tuple[str, Whole]]:
    """The node and the matrix (n, m) of every product in 8 bits."""
    for node in ir.traversal.RecursiveGraphIterator(ir.load(path).graph):
        for place in {"MatMulInteger": [1], "DynamicQuantizeLSTM": [1, 2]}.get(node.op_type, []):
            value = node.inputs[place]
            assert value is not None
            assert value.const_value is not None
            array = value.const_value.numpy()
            yield from ((str(node.name), matrix) for matrix in (array if array.ndim == 3 else array[None]))


def as_int8(path: Path) -> Path:
    """The same file with weights of -127 to 127 in int8, as earlier versions wrote it."""
    found = ir.load(path)
    for value in found.graph.initializers.values():
        assert value.const_value is not None
        if value.dtype == ir.DataType.UINT8:
            array = (value.const_value.numpy().astype(np.int16) - 128).astype(np.int8)
            value.const_value = ir.tensor(array, name=value.name)
            value.type = ir.TensorType(ir.DataType.INT8)
    ir.save(found, path)
    OnnxExporter().annotate(path, {})
    return path


class _Tied(zoo.Cell):
    """Two states, and one weight for both."""

    def __init__(self, input_size: int, config: zoo.CellConfig) -> None:
        hidden = config.hidden_size
        super().__init__(input_size, state_sizes=(hidden, hidden), output_size=hidden)
        self.x2h = nn.Linear(input_size, hidden)
        self.h2h = nn.Linear(hidden, hidden)

    def project(self, x: Tensor) -> Tensor:
        projected: Tensor = self.x2h(x)
        return projected


class WeightTwice(_Tied):
    """It multiplies both states."""

    name = "weight_twice"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        h = torch.tanh(x + self.h2h(h))
        return h, (h, torch.tanh(self.h2h(c) + h))


class WeightTurned(_Tied):
    """It multiplies one state as it is, and the other one transposed."""

    name = "weight_turned"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        h = torch.tanh(x + self.h2h(h))
        return h, (h, torch.tanh(c @ self.h2h.weight + h))


TIED: Mapping[str, type[zoo.Cell]] = {cell.name: cell for cell in (WeightTwice, WeightTurned)}
"""By name."""
