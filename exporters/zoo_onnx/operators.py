"""From a cell to an ONNX operator, step 1 of 2: its weights in the operator's gate order and layout (next: native.py).

Source: the ONNX operator specification, RNN, LSTM and GRU (https://onnx.ai/onnx/operators/), opset 14 and 22:

==========  =====  ======  =====================================================================
operator    gates  states  inputs
==========  =====  ======  =====================================================================
RNN         i      h       W (D, hidden, input), R (D, hidden, hidden), B (D, 2 * hidden)
LSTM        iofc   h, c    W (D, 4 * hidden, input), R (D, 4 * hidden, hidden), B (D, 8 * hidden)
GRU         zrh    h       W (D, 3 * hidden, input), R (D, 3 * hidden, hidden), B (D, 6 * hidden)
==========  =====  ======  =====================================================================

D is the number of directions, forward first. B contains the input biases of all gates, then the recurrent ones. The
inputs after B are sequence_lens and the initial states, (D, batch, hidden) each; outputs are Y and the final states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import zoo

GATES = {"RNN": "i", "LSTM": "iofc", "GRU": "zrh"}
"""Gate order of each operator."""
STATES = {"RNN": "h", "LSTM": "hc", "GRU": "h"}
"""State tensors of each operator, in the order of its inputs and outputs."""
ACTIVATIONS = {"RNN": ("Tanh",), "LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh")}
"""Default activations of each operator, for one direction."""


@dataclass(frozen=True)
class OperatorWeights:
    """Weights of one recurrent node, for all its directions."""

    input: NDArray[Any]
    recurrent: NDArray[Any]
    bias: NDArray[Any] | None


def reorder(rows: torch.Tensor, gates: str, target: str) -> NDArray[Any]:
    """Return the rows of gate blocks, whose order is ``gates``, in the order ``target``."""
    blocks = dict(zip(gates, rows.detach().chunk(len(gates)), strict=True))
    return torch.cat([blocks[gate] for gate in target]).numpy()


def operator_weights(operators: Sequence[zoo.Operator]) -> OperatorWeights:
    """Return the weights of one layer, from the operator of each of its cells.

    Raises:
        ExportError: if a cell names an operator or gates that ONNX does not have.
    """
    gates = GATES.get(operators[0].name)
    for operator in operators:
        if gates is None or sorted(operator.gates) != sorted(gates):
            raise zoo.ExportError(
                f"ONNX has no operator {operator.name} with the gates {operator.gates!r}; "
                f"it has {', '.join(f'{name} with {order!r}' for name, order in GATES.items())}"
            )
    assert gates is not None
    biases = [bias for operator in operators if (bias := _bias(operator, gates)) is not None]
    return OperatorWeights(
        np.stack([reorder(operator.input_weight, operator.gates, gates) for operator in operators]),
        np.stack([reorder(operator.recurrent_weight, operator.gates, gates) for operator in operators]),
        np.stack(biases) if biases else None,
    )


def _bias(operator: zoo.Operator, gates: str) -> NDArray[Any] | None:
    """Return both halves of B, zeros for a half that the cell lacks; None if it has neither."""
    halves = (operator.input_bias, operator.recurrent_bias)
    if all(half is None for half in halves):
        return None
    zeros = operator.recurrent_weight.new_zeros(len(operator.recurrent_weight))
    return np.concatenate([reorder(zeros if half is None else half, operator.gates, gates) for half in halves])
