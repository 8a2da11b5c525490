"""The gate table of ONNX's recurrent operators, against onnx's documentation and reference implementation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any, cast

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from onnx.reference import ReferenceEvaluator

import zoo
from tests.support.builders import DIRECTIONS, make_stack
from zoo.parity import Array
from zoo_onnx.operators import GATES, OperatorWeights, operator_weights, reorder
from zoo_onnx.opset import OLDEST, newest

HIDDEN, INPUT, TIME, BATCH = 3, 2, 5, 4
KIND_OF = {"RNN": "rnn_tanh", "LSTM": "lstm", "GRU": "gru_after"}


def operators(kind: str, direction: str = "forward", bias: bool = True) -> list[zoo.Operator]:
    stack = make_stack(kind, input_size=INPUT, hidden_size=HIDDEN, direction=direction, bias=bias)
    named = [cell.operator() for cell in stack.ordered_layers[0].directed_cells]
    return [operator for operator in named if operator is not None]


# --- the table ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", GATES)
@pytest.mark.parametrize("opset", range(OLDEST, newest() + 1))
def test_gate_order_is_onnx_documentation(operator: str, opset: int) -> None:
    """The schemas contain the gate order, as in "Concatenation of `[Wb[iofc], Rb[iofc]]`"; RNN, with one gate, `Wi`."""
    inputs = {item.name: item.description for item in onnx.defs.get_schema(operator, opset).inputs}
    for name, pattern in (("W", r"`W\[?([a-z]+)\]?`"), ("R", r"`R\[?([a-z]+)\]?`")):
        assert re.findall(pattern, inputs[name]) == [GATES[operator]]
    assert re.findall(r"`\[Wb\[?([a-z]+)\]?, Rb\[?([a-z]+)\]?\]`", inputs["B"]) == [(GATES[operator],) * 2]


@pytest.mark.parametrize("operator", GATES)
def test_each_block_has_its_position(operator: str) -> None:
    """Each gate's weights are one number, so that any permutation is visible; input and recurrent bias differ too."""
    (named,) = operators(KIND_OF[operator])
    assert sorted(named.gates) == sorted(GATES[operator])

    def filled(shape: Sequence[int], offset: int) -> torch.Tensor:
        blocks = [torch.full((HIDDEN, *shape), float(offset + ord(gate))) for gate in named.gates]
        return torch.cat(blocks)

    numbered = replace(
        named,
        input_weight=filled((INPUT,), 1000),
        recurrent_weight=filled((HIDDEN,), 2000),
        input_bias=filled((), 3000),
        recurrent_bias=filled((), 4000),
    )
    weights = operator_weights([numbered])
    assert weights.bias is not None
    letters = np.array([ord(gate) for gate in GATES[operator]]).repeat(HIDDEN)
    assert np.array_equal(weights.input, np.broadcast_to(1000 + letters[:, None], (1, len(letters), INPUT)))
    assert np.array_equal(weights.recurrent, np.broadcast_to(2000 + letters[:, None], (1, len(letters), HIDDEN)))
    assert np.array_equal(weights.bias, np.concatenate([3000 + letters, 4000 + letters])[None])


def test_reorder() -> None:
    rows = torch.tensor([[1.0], [1.5], [2.0], [2.5], [3.0], [3.5]])
    assert reorder(rows, "abc", "cab").ravel().tolist() == [3.0, 3.5, 1.0, 1.5, 2.0, 2.5]


# --- what onnx computes with it -------------------------------------------------------------------------------------


def by_onnx(operator: zoo.Operator, weights: OperatorWeights, direction: str, x: Array) -> Array:
    """Return the outputs (time, directions, batch, hidden) of onnx's own reference implementation."""
    names = ["X", "W", "R"] + (["B"] if weights.bias is not None else [])
    attributes: dict[str, Any] = {**operator.attributes, "hidden_size": HIDDEN, "direction": direction}
    node = helper.make_node(operator.name, names, ["Y", "Y_h"], **attributes)
    arrays = [x, weights.input, weights.recurrent, weights.bias]
    (outputs,) = ReferenceEvaluator(node).run(["Y"], dict(zip(names, arrays, strict=False)))
    return cast("Array", outputs)


def inputs() -> torch.Tensor:
    return torch.randn(TIME, BATCH, INPUT, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def limit(expected: Array) -> float:
    """Return the bound of `tests.support.measure.assert_close`: eps64 times the roundings on the longest path."""
    return float(np.finfo(np.float64).eps * TIME * (INPUT + 2 * HIDDEN) * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["rnn_tanh", "lstm", "gru_after", "gru_before"])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_onnx_computes_what_the_cell_computes(kind: str, direction: zoo.Direction, bias: bool) -> None:
    """onnx's reference implementation, in float64, agrees with the cell when given the table's weights."""
    stack = make_stack(kind, input_size=INPUT, hidden_size=HIDDEN, direction=direction, bias=bias)
    with torch.no_grad():
        expected = stack(inputs())[0].numpy()
    named = operators(kind, direction, bias)
    outputs = by_onnx(named[0], operator_weights(named), direction, inputs().numpy())
    concatenated = outputs.transpose(0, 2, 1, 3).reshape(expected.shape)
    assert np.abs(concatenated - expected).max() <= limit(expected)


@pytest.mark.parametrize("kind", ["lstm", "gru_after", "gru_before"])
def test_any_other_order_computes_something_else(kind: str) -> None:
    """The test above can fail: the error of every other permutation of the gates is far larger than rounding."""
    (right,) = operators(kind)
    expected = by_onnx(right, operator_weights([right]), "forward", inputs().numpy())
    for gates in permutations(right.gates):
        if "".join(gates) == right.gates:
            continue
        wrong = operator_weights([replace(right, gates="".join(gates))])
        outputs = by_onnx(right, wrong, "forward", inputs().numpy())
        assert np.abs(outputs - expected).max() > 1e9 * limit(expected), gates


# --- other cells ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("present", "missing"), [("input_bias", "recurrent_bias"), ("recurrent_bias", "input_bias")])
def test_a_missing_half_of_the_bias_is_zero(present: str, missing: str) -> None:
    (both,) = operators("gru_after")
    weights = operator_weights([replace(both, **{missing: None})])  # type: ignore[arg-type]
    assert weights.bias is not None
    halves = dict(zip(("input_bias", "recurrent_bias"), np.split(weights.bias[0], 2), strict=True))
    assert np.array_equal(halves[present], reorder(getattr(both, present), both.gates, GATES["GRU"]))
    assert not halves[missing].any()


@pytest.mark.parametrize(
    ("name", "gates"), [("MGU", "fh"), ("LSTM", "ifgo"), ("LSTM", "ifc"), ("GRU", "zzh"), ("RNN", ""), ("lstm", "iofc")]
)
def test_unknown_operators_and_gates(name: str, gates: str) -> None:
    (lstm,) = operators("lstm")
    with pytest.raises(zoo.ExportError) as caught:
        operator_weights([replace(lstm, name=name, gates=gates)])
    assert str(caught.value) == (
        f"ONNX has no operator {name} with the gates {gates!r}; it has RNN with 'i', LSTM with 'iofc', GRU with 'zrh'"
    )
