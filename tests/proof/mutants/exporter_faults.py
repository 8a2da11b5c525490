"""Faults of the exporter itself: a fresh export has them too, so only the numbers can find them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

import zoo
from tests.proof.mutants.mutant import NAN, Fault, Mutant, do_nothing
from zoo_onnx import loop, operators
from zoo_onnx.builder import GraphBuilder
from zoo_onnx.lengths import Lengths
from zoo_onnx.precision import int8
from zoo_onnx.states import States


def with_table(table: dict[str, Any], operator: str, wrong: Any) -> Fault:
    """Return the fault of a wrong entry in a table of the exporter."""
    return lambda: patch.dict(table, {operator: wrong})


def with_part(owner: Any, name: str, wrong: Any) -> Fault:
    """Return the fault of a wrong function or property of the exporter."""
    return lambda: patch.object(owner, name, wrong)


def with_node(node: str, change: Callable[[str, list[Any], dict[str, Any]], str]) -> Fault:
    """Return the fault of a node that is written wrongly.

    Args:
        node: an operator, or the end of a node's name.
        change: alters the inputs and attributes of such a node in place and returns its operator.
    """
    right = GraphBuilder.node_with_outputs

    def wrong(self: GraphBuilder, operator: str, name: str, inputs: Any, outputs: Any, attributes: Any = None) -> Any:
        given, values = list(inputs), dict(attributes or {})
        if operator == node or name.endswith(node):
            operator = change(operator, given, values)
        return right(self, operator, name, given, outputs, values)

    return with_part(GraphBuilder, "node_with_outputs", wrong)


def attribute(name: str, value: Any) -> Callable[[str, list[Any], dict[str, Any]], str]:
    """Return the change of an attribute."""

    def change(operator: str, _: list[Any], attributes: dict[str, Any]) -> str:
        attributes[name] = value
        return operator

    return change


def in_order(*order: int) -> Callable[[str, list[Any], dict[str, Any]], str]:
    """Return the change of the order of a node's inputs."""

    def change(operator: str, inputs: list[Any], _: dict[str, Any]) -> str:
        inputs[:] = [inputs[place] for place in order]
        return operator

    return change


def as_operator(other: str) -> Callable[[str, list[Any], dict[str, Any]], str]:
    """Return the change to another operator."""
    return lambda *_: other


def without_recurrent_bias(operator: zoo.Operator, gates: str) -> NDArray[Any] | None:
    bias = RIGHT_BIAS(operator, gates)
    assert bias is not None
    bias[len(bias) // 2 :] = 0
    return bias


def bias_in_own_order(operator: zoo.Operator, _: str) -> NDArray[Any]:
    """Return the halves of B in the gate order of the cell."""
    assert operator.input_bias is not None
    assert operator.recurrent_bias is not None
    return np.concatenate([half.detach().numpy() for half in (operator.input_bias, operator.recurrent_bias)])


def initial_states_exchanged(states: States, layer: int, directions: int, name: str) -> list[ir.Value]:
    return RIGHT_STARTS(states, layer, directions, name)[::-1]


def final_states_exchanged(states: States, layer: int, directions: int, finals: Any) -> None:
    RIGHT_ENDS(states, layer, directions, finals[::-1])


def without_mask(_: ir.Value, new: ir.Value, *__: Any) -> ir.Value:
    """Return the new state, whether the step is within the length or not."""
    return new


def rounded_down(matrix: int8.Matrix) -> tuple[NDArray[np.uint8], int8.Matrix]:
    """Quantise a matrix to the step below instead of the nearest one."""
    _, scale = RIGHT_INT8(matrix)
    steps = np.clip(np.floor(matrix / scale), -int8.STEPS, int8.STEPS)
    return (steps + int8.ZERO_POINT).astype(np.uint8), scale


def off_by_one_step(matrix: int8.Matrix) -> tuple[NDArray[np.uint8], int8.Matrix]:
    """Quantise a matrix with 127 for 0, though the file states 128."""
    whole, scale = RIGHT_INT8(matrix)
    return whole - np.uint8(1), scale


def scales_reversed(matrix: int8.Matrix) -> tuple[NDArray[np.uint8], int8.Matrix]:
    """State the scale of each column for another one."""
    whole, scale = RIGHT_INT8(matrix)
    return whole, scale[::-1].copy()


def signed_weights(matrix: int8.Matrix) -> tuple[NDArray[np.uint8], int8.Matrix]:
    """Store weights in two's complement, though the file states 128 for 0."""
    whole, scale = RIGHT_INT8(matrix)
    return whole ^ np.uint8(128), scale


def all_steps(lengths: Lengths) -> ir.Value:
    """Return the number of all steps, those of the padding included, as a column."""
    build = lengths.build
    time = build.node("Shape", "lengths/all", [lengths.x], {"start": 1, "end": 2})
    return build.node("Cast", "lengths/all/float", [time], {"to": int(ir.DataType.FLOAT)})


RIGHT_BIAS, RIGHT_STARTS, RIGHT_ENDS = operators._bias, States.start_all, States.end_all
RIGHT_INT8 = int8.in_uint8


def fault(name: str, subject: str, exporter: Fault, refusal: str = "", why: str = "") -> Mutant:
    """Return a fault of the exporter, which writes the file."""
    return Mutant(f"{name}, by the exporter", subject, do_nothing, refusal, exporter=exporter, why=why)


LSTM, GRU, SCAN, INT8 = "LSTM, trained", "GRU, trained", "LSTM as Scan", "LSTM in int8"

MUTANTS = [
    fault("gate order of LSTM ifoc", LSTM, with_table(operators.GATES, "LSTM", "ifoc")),
    fault("gate order of GRU rzh", GRU, with_table(operators.GATES, "GRU", "rzh")),
    fault("biases in the cell's own gate order", LSTM, with_part(operators, "_bias", bias_in_own_order)),
    fault("recurrent bias dropped", GRU, with_part(operators, "_bias", without_recurrent_bias)),
    fault("direction reverse", LSTM, with_node("LSTM", attribute("direction", "reverse"))),
    fault("linear_before_reset 0", GRU, with_node("GRU", attribute("linear_before_reset", 0))),
    fault(
        "sigmoid for the cell's tanh", SCAN, with_table(operators.ACTIVATIONS, "LSTM", ("Sigmoid", "Tanh", "Sigmoid"))
    ),
    fault("W and R exchanged", LSTM, with_node("layer_1/lstm", in_order(0, 2, 1, 3))),
    fault("lengths not connected", "GRU of tokens", with_part(Lengths, "as_int32", None)),
    fault("lengths not connected", "biLSTM, lengths", with_part(Lengths, "as_int32", None)),
    fault("mask forgotten in the Scan", "GRU of tokens as Scan", with_part(loop, "_where", without_mask)),
    fault("mean over all steps", "biLSTM, lengths", with_part(Lengths, "as_column", property(all_steps))),
    fault(
        "Scan of a reverse layer forward",
        "GRU as Scan, lengths",
        with_node("Scan", attribute("scan_input_directions", [0] * 4)),
        NAN,
    ),
    fault("initial states exchanged", "LSTM, states", with_part(States, "start_all", initial_states_exchanged)),
    fault("final states exchanged", "LSTM for chunks", with_part(States, "end_all", final_states_exchanged)),
    fault("deviation multiplied", "GRU", with_node("encoder/divide_by_std", as_operator("Mul"))),
    fault("softmax over the batch", GRU, with_node("Softmax", attribute("axis", 0))),
    fault("scales of a weight's columns reversed", INT8, with_part(int8, "in_uint8", scales_reversed)),
    fault("int8 weights in two's complement", INT8, with_part(int8, "in_uint8", signed_weights)),
]

WITHIN_ROUNDING = [
    fault(
        "weights rounded down",
        INT8,
        with_part(int8, "in_uint8", rounded_down),
        why="at most one step, and int8 allows 8 times the effect of half a step",
    ),
    fault(
        "zero point of weights off by one",
        INT8,
        with_part(int8, "in_uint8", off_by_one_step),
        why="one step of each weight, and int8 allows 8 times the effect of half a step",
    ),
]
"""Faults of the exporter that are no larger than the rounding that int8 asks for, so that the numbers pass. A test of
the exporter, `tests.exporters.test_precision_export`, states the 8-bit weights of a matrix number by number."""
