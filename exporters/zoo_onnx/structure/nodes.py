"""Comparison of nodes with those of the same name in a fresh export: operator, attributes, inputs, constants."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import AttributeProto, NodeProto, helper, numpy_helper

import zoo
from zoo_onnx.structure.form import further
from zoo_onnx.structure.scope import Scope

FRESH = "a fresh export has"


class NodeComparison:
    """Comparison of the nodes of a graph, or of a body, with those of a fresh export."""

    def __init__(self, actual: Scope, expected: Scope) -> None:
        self.actual, self.expected = actual, expected

    def body_differences(self, scan: str) -> Iterator[zoo.Difference]:
        """Yield the nodes of a body that differ, and its Scan if an output of the body has another origin."""
        for node in self.actual.graph.node:
            if what := self.difference(node):
                yield zoo.Difference(node.name, node.op_type, what, scan)
        outputs = zip(self.actual.graph.output, self.expected.graph.output, strict=False)
        for index, (value, fresh) in enumerate(outputs):
            if what := self.origin_difference(value.name, fresh.name):
                yield zoo.Difference(scan, "Scan", f"output {index} of its body {what}")

    def origin_difference(self, value: str, fresh: str) -> str:
        """Return the difference between the origins of two values; empty if there is none."""
        origin, due = self.actual.origin(value), self.expected.origin(fresh)
        return "" if origin == due else f"comes from {origin}, {FRESH} {due}"

    def difference(self, node: NodeProto) -> str:
        """Return the first difference of a node; empty if it has none."""
        return next(self.differences(node), "")

    def differences(self, node: NodeProto) -> Iterator[str]:
        """Yield every difference of a node, its body aside."""
        fresh = self.expected.nodes.get(node.name)
        if fresh is None:
            yield "is not in a fresh export"
        elif (operator := _operator(node)) != (due := _operator(fresh)):
            yield f"operator {operator}, {FRESH} {due}"
        else:
            yield from filter(None, self._differences(node, fresh))

    def _differences(self, node: NodeProto, fresh: NodeProto) -> Iterator[str]:
        """Yield the differences in attributes, inputs and outputs; an empty text is none."""
        actual, expected = _attributes(node), _attributes(fresh)
        for name in sorted(actual.keys() | expected.keys()):
            if actual.get(name) != expected.get(name):
                yield f"attribute {name}: {actual.get(name, 'none')}, {FRESH} {expected.get(name, 'none')}"
        for index, (value, due) in enumerate(zip_longest(node.input, fresh.input, fillvalue="")):
            yield self._input_difference(_input_name(node, index), value, due, node)
        for value, due in zip(node.output, fresh.output, strict=False):
            if value != due and (value in self.actual.outputs or due in self.expected.outputs):
                yield f"gives {value!r}, in a fresh export {due!r}"
        if (given := _given(node)) != (due := _given(fresh)):
            yield f"gives the outputs {given}, in a fresh export {due}"
        if (rest := further(node)) != (due := further(fresh)):
            yield f"further parts: {rest}, {FRESH} {due}"

    def _input_difference(self, name: str, value: str, fresh: str, node: NodeProto) -> str:
        """Return the difference of an input of a node; empty if there is none."""
        if not value or not fresh:
            if value == fresh:
                return ""
            state, fresh_state = ("is left out", "given") if fresh else ("is given", "left out")
            return f"{name} {state}, in a fresh export it is {fresh_state}"
        return self.value_difference(name, value, fresh, node)

    def value_difference(self, name: str, value: str, fresh: str, node: NodeProto) -> str:
        """Return the difference of two values that a node and its counterpart read; empty if there is none.

        Numbers that a node turns into other constants are compared where these are used, since one weight may be split
        for several nodes, and one of those computes the wrong value.
        """
        actual, expected = self.actual.constant(value), self.expected.constant(fresh)
        if actual is not None and expected is not None:
            return "" if self.actual.is_constant(node) else number_difference(name, actual, expected)
        origin = self.actual.origin(value) if actual is None else "a constant"
        due = self.expected.origin(fresh) if expected is None else "a constant"
        if actual is None and expected is None and origin == due:
            return ""
        return f"{name} comes from {origin}, {FRESH} {due}"


def number_difference(name: str, actual: NDArray[Any], expected: NDArray[Any]) -> str:
    """Return the difference of two arrays; empty if they are equal, NaN included."""
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return f"{name} is {actual.dtype} {actual.shape}, {FRESH} {expected.dtype} {expected.shape}"
    both_nan = (actual != actual) & (expected != expected)
    different = ~((actual == expected) | both_nan)
    count = int(np.count_nonzero(different))
    if not count:
        return ""
    if actual.size == 1:
        return f"{name} is {_number(actual.item())}, {FRESH} {_number(expected.item())}"
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.where(different, np.abs(actual.astype(np.float64) - expected.astype(np.float64)), -1.0)
    place = np.unravel_index(int(distance.argmax()), distance.shape)  # of NaN, if there is one, else of the largest
    values = f"{_number(actual[place].item())}, {FRESH} {_number(expected[place].item())}"
    where = f"[{', '.join(map(str, place))}]"
    return f"{name} differs in {count} of {actual.size} numbers, the most by {distance[place]:.1e}: {where} is {values}"


def _number(value: float) -> str:
    """Return a number with as many digits as show a difference of one unit in the last place of float32."""
    return f"{float(value):.9g}"


def _operator(node: NodeProto) -> str:
    """Return the operator of a node, with its domain unless that is ONNX's own."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _given(node: NodeProto) -> str:
    """Return the indices of the outputs that a node gives, as text."""
    return ", ".join(str(index) for index, name in enumerate(node.output) if name) or "none"


def _input_name(node: NodeProto, index: int) -> str:
    """Return the name of an input in the specification of the operator, as ``input R``, or its index."""
    try:
        formal = onnx.defs.get_schema(node.op_type, domain=node.domain).inputs
    except onnx.defs.SchemaError:
        return f"input {index}"
    variadic = index >= len(formal) or formal[index].option == onnx.defs.OpSchema.FormalParameterOption.Variadic
    return f"input {index}" if variadic else f"input {formal[index].name}"


def _attributes(node: NodeProto) -> dict[str, str]:
    """Return the values of a node's attributes as text, without bodies."""
    return {a.name: _attribute_text(a) for a in node.attribute if a.type != AttributeProto.GRAPH}


def _attribute_text(attribute: AttributeProto) -> str:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return str(numpy_helper.to_array(value).tolist())
    if isinstance(value, list | tuple):
        return f"[{', '.join(item.decode() if isinstance(item, bytes) else str(item) for item in value)}]"
    return str(value)
