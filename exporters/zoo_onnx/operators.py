"""ONNX's recurrent operators: the one table of their gate order and weight layout, and the way from a cell into it.

Source: the ONNX operator specification, RNN, LSTM and GRU (https://onnx.ai/onnx/operators/), opset 14 and 22:

==========  =====  ======  =====================================================================
operator    gates  states  inputs
==========  =====  ======  =====================================================================
RNN         i      h       W (D, hidden, input), R (D, hidden, hidden), B (D, 2 * hidden)
LSTM        iofc   h, c    W (D, 4 * hidden, input), R (D, 4 * hidden, hidden), B (D, 8 * hidden)
GRU         zrh    h       W (D, 3 * hidden, input), R (D, 3 * hidden, hidden), B (D, 6 * hidden)
==========  =====  ======  =====================================================================

D is the number of directions, forward first. B holds the input biases of all gates and then the recurrent ones. Behind
B come sequence_lens and the initial state, part by part, (D, batch, hidden); the outputs are Y and the final state.
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
STATES = {"RNN": "h", "LSTM": "hc", "GRU": "h"}
"""The parts of the state, in the order of the inputs and of the outputs."""


@dataclass(frozen=True)
class OperatorWeights:
    """The weights of one recurrent node, both directions in one."""

    input: NDArray[Any]
    recurrent: NDArray[Any]
    bias: NDArray[Any] | None


def reorder(block: torch.Tensor, found: str, wanted: str) -> NDArray[Any]:
    """Rows of gate blocks in the order ``found`` -> the same rows in the order ``wanted``."""
    blocks = dict(zip(found, block.detach().chunk(len(found)), strict=True))
    return torch.cat([blocks[gate] for gate in wanted]).numpy()


def operator_weights(operators: Sequence[zoo.Operator]) -> OperatorWeights:
    """The weights of one layer, from the operator of each of its cells.

    Raises:
        ExportError: where a cell names an operator or gates that ONNX does not have.
    """
    wanted = GATES.get(operators[0].name)
    for operator in operators:
        if wanted is None or sorted(operator.gates) != sorted(wanted):
            raise zoo.ExportError(
                f"ONNX has no operator {operator.name} with the gates {operator.gates!r}; "
                f"it has {', '.join(f'{name} with {gates!r}' for name, gates in GATES.items())}"
            )
    assert wanted is not None
    biases = [bias for operator in operators if (bias := _bias(operator, wanted)) is not None]
    return OperatorWeights(
        np.stack([reorder(operator.input_weight, operator.gates, wanted) for operator in operators]),
        np.stack([reorder(operator.recurrent_weight, operator.gates, wanted) for operator in operators]),
        np.stack(biases) if biases else None,
    )


def _bias(operator: zoo.Operator, wanted: str) -> NDArray[Any] | None:
    """Both halves of B, zeros for the one that the cell does not have; None where it has neither."""
    halves = (operator.input_bias, operator.recurrent_bias)
    if all(half is None for half in halves):
        return None
    none = operator.recurrent_weight.new_zeros(len(operator.recurrent_weight))
    return np.concatenate([reorder(none if half is None else half, operator.gates, wanted) for half in halves])
