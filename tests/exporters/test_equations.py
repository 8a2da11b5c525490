"""Scans of cells that name their operator, built from the equations: no tracing, and agreement with the cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, nn

import zoo
from tests.exporters.agreement import assert_agrees
from tests.support.builders import DIRECTIONS, KINDS, covering
from tests.support.models import make_model, model_of, write
from zoo_gru import GRUCell
from zoo_lstm import LSTMCell
from zoo_onnx.equations import from_equations
from zoo_rnn import RNNCell

MISSING = "none", "input", "recurrent", "both"
"""Half of the bias that a cell lacks."""


@pytest.fixture
def without_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("traced")

    monkeypatch.setattr(torch.export, "export", refuse)
    monkeypatch.setattr(torch.onnx, "export", refuse)


@pytest.mark.usefixtures("without_tracing")
@pytest.mark.parametrize(
    ("kind", "direction", "bias", "layers", "takes_lengths", "pooling"),
    covering(KINDS, DIRECTIONS, (True, False), (1, 2), (True, False), ("last", "mean", None)),
)
def test_built_in_cells_are_not_traced(
    kind: str, direction: str, bias: bool, layers: int, takes_lengths: bool, pooling: str | None, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"direction": direction, "bias": bias, "num_layers": layers, "pooling": pooling}
    model = make_model(kind, takes_lengths=takes_lengths, **options)
    path = write(model, tmp_path, lowering="scan")
    assert "Scan" in {node.op_type for node in onnx.load(path).graph.node}
    assert_agrees(model, path)
    write(model, tmp_path, lowering="unrolled", steps=3)
    write(model, tmp_path)


@pytest.mark.usefixtures("without_tracing")
def test_a_cell_without_an_operator_is_traced(tmp_path: Path) -> None:
    """The test above can fail."""
    with pytest.raises(zoo.ExportError, match="AssertionError: traced"):
        write(make_model("mgu"), tmp_path)


# --- operators of other cells ----------------------------------------------------------------------------------------


def permuted(operator: zoo.Operator, gates: str) -> zoo.Operator:
    """Return an operator with its blocks in another order; its weights are then not tensors of the model."""

    def reordered(block: Tensor | None) -> Tensor | None:
        if block is None:
            return None
        blocks = dict(zip(operator.gates, block.chunk(len(gates)), strict=True))
        return torch.cat([blocks[gate] for gate in gates])

    weights = {
        field: reordered(getattr(operator, field))
        for field in ("input_weight", "recurrent_weight", "input_bias", "recurrent_bias")
    }
    return replace(operator, gates=gates, **weights)  # type: ignore[arg-type]


class BackwardLSTM(LSTMCell):
    """An LSTM that names its gates in another order, and computes their weights."""

    name = "backward_lstm"

    def operator(self) -> zoo.Operator:
        return permuted(super().operator(), "ocfi")


class ShuffledGRU(GRUCell):
    """A GRU with the candidate between the gates z and r."""

    name = "shuffled_gru"

    def operator(self) -> zoo.Operator:
        return permuted(super().operator(), "zhr")


class SoftsignRNN(RNNCell):
    """An RNN with softsign as its activation."""

    name = "softsign_rnn"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h = nn.functional.softsign(x + self.h2h(state[0]))
        return h, (h,)

    def operator(self) -> zoo.Operator:
        return replace(super().operator(), activations=("Softsign",))


class OddLSTM(LSTMCell):
    """An LSTM with exchanged activations, all of them named."""

    name = "odd_lstm"

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        h, c = state
        i, f, g, o = (x + self.h2h(h)).chunk(4, 1)
        c = torch.tanh(f) * c + torch.tanh(i) * torch.sigmoid(g)
        h = torch.tanh(o) * nn.functional.softsign(c)
        return h, (h, c)

    def operator(self) -> zoo.Operator:
        return replace(super().operator(), activations=("Tanh", "Sigmoid", "Softsign"))


@pytest.mark.usefixtures("without_tracing")
@pytest.mark.parametrize(
    ("cell", "options"),
    [
        (BackwardLSTM, {}),
        (ShuffledGRU, {"reset": "after"}),
        (ShuffledGRU, {"reset": "before"}),
        (SoftsignRNN, {}),
        (OddLSTM, {}),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_any_order_of_gates_and_other_activations(
    cell: type[zoo.Cell], options: Mapping[str, Any], bias: bool, tmp_path: Path
) -> None:
    model = model_of(cell, direction="bidirectional", num_layers=2, bias=bias, **options)
    assert_agrees(model, write(model, tmp_path, lowering="scan"))


class HalfBias(GRUCell):
    """A GRU that lacks half of its bias, or all of it."""

    name = "half_bias"
    lacks: str

    def __init__(self, input_size: int, config: GRUCell.Config) -> None:
        super().__init__(input_size, config)
        if self.lacks in ("input", "both"):
            self.x2h.register_parameter("bias", None)
        if self.lacks in ("recurrent", "both"):
            self.h2h.register_parameter("bias", None)


@pytest.mark.usefixtures("without_tracing")
@pytest.mark.parametrize("lacks", MISSING)
@pytest.mark.parametrize("reset", ["after", "before"])
def test_a_missing_half_of_the_bias(lacks: str, reset: str, tmp_path: Path) -> None:
    cell = type("HalfBias", (HalfBias,), {"lacks": lacks})
    model = model_of(cell, reset=reset)
    assert_agrees(model, write(model, tmp_path, lowering="scan"))


@pytest.mark.usefixtures("without_tracing")
def test_a_weight_that_cells_share_stands_once(tmp_path: Path) -> None:
    model = make_model("lstm", direction="bidirectional", num_layers=2)
    for layer in model.layers():
        forward, reverse = layer.directed_cells
        reverse.h2h = forward.h2h
    path = write(model, tmp_path, lowering="scan")
    names = Counter(tensor.name for tensor in onnx.load(path).graph.initializer)
    assert names["stack.layers.0.cells.0.h2h.weight"] == 1
    assert max(names.values()) == 1
    assert "stack.layers.0.cells.1.h2h.weight" not in names
    assert_agrees(model, path)


class Claim(LSTMCell):
    """An LSTM that names another operator."""

    name = "claim"
    change: Mapping[str, Any]

    def operator(self) -> zoo.Operator:
        return replace(super().operator(), **self.change)


@pytest.mark.parametrize(
    ("change", "covered"),
    [
        ({}, True),
        ({"name": "MGU"}, False),
        ({"gates": "ifgo"}, False),
        ({"attributes": {"input_forget": 1}}, False),
        ({"activations": ("HardSigmoid", "Tanh", "Tanh")}, False),
        ({"activations": ("Sigmoid",)}, False),
        ({"name": "GRU", "gates": "zrh"}, False),
    ],
)
def test_what_the_equations_do_not_cover_is_traced(change: Mapping[str, Any], covered: bool) -> None:
    model = model_of(type("Claim", (Claim,), {"change": change}))
    assert (from_equations(model.stack, 0, 0) is not None) == covered
