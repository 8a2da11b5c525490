"""Pieces of a cell that names its ONNX operator, from the operator's equations; replaces step 1, tracing.py.

Source: the ONNX operator specification, RNN, LSTM and GRU (https://onnx.ai/onnx/operators/). W and R are the blocks of
a gate in the weights, Wb and Rb those in the biases; f, g and h are the activations::

    RNN:   H' = f(x Wi' + H Ri' + Wbi + Rbi)
    LSTM:  i, o, f = f(x W' + H R' + Wb + Rb)      c = g(x Wc' + H Rc' + Wbc + Rbc)
           C' = f * C + i * c                      H' = o * h(C')
    GRU:   z, r = f(x W' + H R' + Wb + Rb)         H' = (1 - z) * n + z * H = n + z * (H - n)
           n = g(x Wh' + Wbh + r * (H Rh' + Rbh))  with linear_before_reset
           n = g(x Wh' + Wbh + (r * H) Rh' + Rbh)  without

`project` contains everything that does not depend on the state, the recurrent biases included. Each gate has a product
of its own, as in the bodies that zoo_onnx/gates.py simplifies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

import zoo
from zoo_onnx.operators import ACTIVATIONS, GATES, STATES
from zoo_onnx.piece import PARAMETERS, CellPieces, Piece, short_name, split

FLOAT = ir.TensorType(ir.DataType.FLOAT)
FUNCTIONS = frozenset({"Relu", "Sigmoid", "Softplus", "Softsign", "Tanh"})
"""Activations without parameters whose name is also an ONNX operator."""
ATTRIBUTES = {"GRU": frozenset({"linear_before_reset"})}
"""Attributes of each operator that the equations above cover."""


def from_equations(stack: zoo.Stack, layer: int, direction: int) -> CellPieces | None:
    """Return the pieces of a cell, or None if it names no operator that the equations cover.

    Args:
        stack: float32, on the CPU.
        layer: index of the cell's layer.
        direction: index of the cell in the layer.
    """
    cell = stack.ordered_layers[layer].directed_cells[direction]
    operator = cell.operator()
    if operator is None or not _is_covered(operator, cell):
        return None
    names = {id(value): f"{PARAMETERS}{name}" for name, value in (*stack.named_parameters(), *stack.named_buffers())}
    return _Equations(operator, names, f"{PARAMETERS}layers.{layer}.cells.{direction}").pieces()


def _is_covered(operator: zoo.Operator, cell: zoo.Cell) -> bool:
    gates = GATES.get(operator.name, "")
    hidden = operator.recurrent_weight.shape[-1]
    return (
        sorted(operator.gates) == sorted(gates) != []
        and operator.attributes.keys() <= ATTRIBUTES.get(operator.name, frozenset())
        and FUNCTIONS.issuperset(operator.activations)
        and len(operator.activations) in (0, len(ACTIVATIONS[operator.name]))
        and cell.state_sizes == (hidden,) * len(STATES[operator.name])
        and cell.output_size == hidden
    )


class _Equations:
    """The nodes of one cell.

    Args:
        operator: the operator that the cell equals.
        names: names of the model's tensors, by their `id`.
        cell: prefix of the names of tensors that the cell computes, which are not tensors of the model.
    """

    def __init__(self, operator: zoo.Operator, names: Mapping[int, str], cell: str) -> None:
        self.operator, self._names, self._cell = operator, names, cell
        self.activations = operator.activations or ACTIVATIONS[operator.name]
        self.resets_after = operator.name == "GRU" and bool(operator.attributes.get("linear_before_reset", 0))
        self.hidden = operator.recurrent_weight.shape[1]
        self.recurrent = self._by_gate(self._weight("recurrent_weight"))
        self.recurrent_bias = self._bias("recurrent_bias")
        self.bias_by_gate = {} if self.recurrent_bias is None else self._by_gate(self.recurrent_bias)

    def pieces(self) -> CellPieces:
        """Return `project` and `step` of the cell."""
        gates = len(self.operator.gates)
        x = ir.Value(name="x", type=FLOAT, shape=ir.Shape(["batch", gates * self.hidden]))
        shape = ir.Shape(["batch", self.hidden])
        state = [ir.Value(name=part, type=FLOAT, shape=shape) for part in STATES[self.operator.name]]
        parts = self._by_gate(x)
        after = self._step(parts, state)
        return CellPieces(self._project(), Piece([x, *state], [after[0], *after]))

    def _step(self, x: Mapping[str, ir.Value], state: Sequence[ir.Value]) -> list[ir.Value]:
        """Return the new state, whose first tensor is the output."""
        if self.operator.name == "LSTM":
            return self._lstm(x, *state)
        return self._rnn(x, *state) if self.operator.name == "RNN" else self._gru(x, *state)

    def _project(self) -> Piece:
        """Return x W' plus all biases but the one inside the reset of a GRU."""
        sequence = ir.Value(name="sequence", type=FLOAT, shape=ir.Shape(["time", "batch", None]))
        weight = self._weight("input_weight")
        turned = self._node("Transpose", f"{short_name(weight)}/turned", [weight], {"perm": [1, 0]})
        projected = self._node("MatMul", "product", [sequence, turned])
        biases = [bias for bias in (self._bias("input_bias"), self._bias_outside()) if bias is not None]
        if len(biases) == 2:  # their sum first, since an addition to every step is a pass over all of them
            biases = [self._node("Add", "biases", biases)]
        if biases:
            projected = self._node("Add", "with_bias", [projected, *biases])
        return Piece([sequence], [projected])

    def _bias_outside(self) -> ir.Value | None:
        """Return the part of the recurrent bias that can be added outside the loop."""
        bias = self.recurrent_bias
        if bias is None or not self.resets_after:
            return bias
        zeros = ir.Value(name="zeros", const_value=ir.tensor(np.zeros(self.hidden, np.float32)))
        blocks = [zeros if gate == "h" else block for gate, block in self.bias_by_gate.items()]
        return self._node("Concat", f"{short_name(bias)}/outside", blocks, {"axis": 0})

    def _rnn(self, x: Mapping[str, ir.Value], h: ir.Value) -> list[ir.Value]:
        return [self._act(0, "h_next", self._product("i", h, x["i"]))]

    def _lstm(self, x: Mapping[str, ir.Value], h: ir.Value, c: ir.Value) -> list[ir.Value]:
        i, o, f = (self._act(0, gate, self._product(gate, h, x[gate])) for gate in "iof")
        candidate = self._act(1, "candidate", self._product("c", h, x["c"]))
        kept, new = self._node("Mul", "kept", [f, c]), self._node("Mul", "new", [i, candidate])
        c_next = self._node("Add", "c_next", [kept, new])
        h_next = self._node("Mul", "h_next", [o, self._act(2, "c_next/activated", c_next)])
        return [h_next, c_next]

    def _gru(self, x: Mapping[str, ir.Value], h: ir.Value) -> list[ir.Value]:
        z, r = (self._act(0, gate, self._product(gate, h, x[gate])) for gate in "zr")
        if self.resets_after:
            product = self._product("h", h, self.bias_by_gate.get("h"))
            total = self._node("Add", "total", [x["h"], self._node("Mul", "reset", [r, product])])
        else:
            total = self._product("h", self._node("Mul", "reset", [r, h]), x["h"])
        n = self._act(1, "candidate", total)
        step = self._node("Mul", "kept", [z, self._node("Sub", "difference", [h, n])])
        return [self._node("Add", "h_next", [n, step])]

    def _product(self, gate: str, factor: ir.Value, addend: ir.Value | None) -> ir.Value:
        """Return factor R' + addend, with the recurrent weight R of a gate."""
        inputs = [factor, self.recurrent[gate], *([] if addend is None else [addend])]
        return self._node("Gemm", f"product_{gate}", inputs, {"transB": 1})

    def _act(self, index: int, name: str, value: ir.Value) -> ir.Value:
        return self._node(self.activations[index], name, [value])

    def _by_gate(self, value: ir.Value) -> dict[str, ir.Value]:
        """Return the blocks of x (batch, gates * hidden), or of a weight or bias with the gates in its first axis."""
        gates = self.operator.gates
        if len(gates) == 1:
            return {gates: value}
        axis = 1 if value.producer() is None and value.const_value is None else 0
        return dict(zip(gates, split(value, [self.hidden] * len(gates), axis), strict=True))

    def _weight(self, field: str) -> ir.Value:
        """Return a tensor of the operator as an initialiser, under the name that it has in the model."""
        tensor: torch.Tensor = getattr(self.operator, field)
        name = self._names.get(id(tensor), f"{self._cell}.{field}")
        array = tensor.detach().numpy()
        return ir.Value(name=name, const_value=ir.tensor(array, name=name), type=FLOAT, shape=ir.Shape(array.shape))

    def _bias(self, field: str) -> ir.Value | None:
        return None if getattr(self.operator, field) is None else self._weight(field)

    @staticmethod
    def _node(
        operator: str, name: str, inputs: Sequence[ir.Value], attributes: Mapping[str, Any] | None = None
    ) -> ir.Value:
        value = ir.Value(name=name)
        ir.node(operator, inputs, attributes, outputs=[value])
        return value
