"""Faults of the exporter itself: a fresh export has them too, so only the numbers can find them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import PropertyMock, patch

import numpy as np
import onnx_ir as ir

from tests.proof.mutants.mutant import Fault, Mutant
from zoo_onnx import equations, loop, native, operators
from zoo_onnx.builder import GraphBuilder
from zoo_onnx.lengths import Lengths
from zoo_onnx.precision import int8


def gates(operator: str, order: str) -> Fault:
    """Return the fault of a wrong gate order in the exporter's table."""
    return lambda: patch.dict(operators.GATES, {operator: order})


def attributes(operator: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Fault:
    """Return the fault of wrong attributes of an operator."""
    right = GraphBuilder.node_with_outputs

    def wrong(self: GraphBuilder, op: str, name: str, inputs: Any, names: Any, given: Any = None) -> Any:
        return right(self, op, name, inputs, names, change(dict(given or {})) if op == operator else given)

    return lambda: patch.object(GraphBuilder, "node_with_outputs", wrong)


def replaced(owner: Any, name: str, wrong: Any) -> Fault:
    """Return the fault of a wrong function or property."""
    return lambda: patch.object(owner, name, wrong)


def turned(given: dict[str, Any]) -> dict[str, Any]:
    other = {"forward": "reverse", "reverse": "forward"}
    return {**given, "direction": other.get(given["direction"], given["direction"])}


def without_recurrent_bias(operator: Any, order: str) -> Any:
    bias = RIGHT_BIAS(operator, order)
    bias[len(bias) // 2 :] = 0
    return bias


def without_mask(mask: ir.Value, new: ir.Value, old: ir.Value, *_: Any) -> ir.Value:
    return new


RIGHT_BIAS = operators._bias
