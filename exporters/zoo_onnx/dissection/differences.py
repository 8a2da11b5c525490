"""Differences of nodes from those of the same name in a fresh export: operator, attributes, inputs, constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    OperatorSetIdProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)
from onnx.reference import ReferenceEvaluator

import zoo
from zoo_onnx.dissection.probe import body_of
from zoo_onnx.dissection.suspects import between

FRESH = "a fresh export has"


class Scope:
    """The values of a graph by name, each a constant or a node's output.

    Args:
        graph: the graph, or the body of a loop.
        opsets: versions of the operators.
        outer: the scope that contains a body; None for a main graph.
    """

    def __init__(self, graph: GraphProto, opsets: Sequence[OperatorSetIdProto], outer: Scope | None = None) -> None:
        self.graph, self.opsets = graph, opsets
        self.nodes = {node.name: node for node in graph.node}
        self.outer = outer
        self._constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self._made = {name: (node.name, index) for node in graph.node for index, name in enumerate(node.output)}
        self._inputs = {value.name for value in graph.input}
        self.outputs = {value.name for value in graph.output}

    def constant(self, name: str) -> NDArray[Any] | None:
        """Return the array of a weight, or of a value that depends on weights alone; None for any other value."""
        if name not in self._constants and name in self._made and self.is_constant(self.nodes[self._made[name][0]]):
            piece = helper.make_graph(between(self.graph, name, ()), "constant", [], [ValueInfoProto(name=name)])
            piece.initializer.extend(self.graph.initializer)
            model = helper.make_model(piece, opset_imports=self.opsets)
            made: Any = ReferenceEvaluator(model).run(None, {})
            self._constants[name] = made[0]
        if name in self._constants:
            return self._constants[name]
        return None if self.outer is None or name in self._made else self.outer.constant(name)

    def is_constant(self, node: NodeProto) -> bool:
        """Return whether a node of the main graph depends on weights alone."""
        return (
            self.outer is None
            and body_of(node) is None
            and all(self._from_weights(name) for name in node.input if name)
        )

    def _from_weights(self, name: str) -> bool:
        return name in self._constants or (name in self._made and self.is_constant(self.nodes[self._made[name][0]]))

    def origin(self, name: str) -> str:
        """Return the origin of a value: the node and output, an input or a weight; independent of names of values."""
        if name in self._made:
            node, index = self._made[name]
            return f"{node}, output {index}" if index else node
        if name in self._inputs:
            return name
        return name if self.outer is None else self.outer.origin(name)


def differences(file: ModelProto, fresh: ModelProto, bad: str, good: set[str]) -> list[zoo.Difference]:
    """Return the nodes between correct values and a wrong one that differ; see `zoo.Dissection.differences`."""
    actual, expected = (Scope(model.graph, list(model.opset_import)) for model in (file, fresh))
    comparison = _Comparison(actual, expected)
    result = []
    for node in between(file.graph, bad, good):
        if what := comparison.difference(node):
            result.append(zoo.Difference(node.name, node.op_type, what))
        counterpart = expected.nodes.get(node.name)
        body, fresh_body = body_of(node), None if counterpart is None else body_of(counterpart)
        if body is not None and fresh_body is not None:
            scopes = Scope(body, actual.opsets, actual), Scope(fresh_body, expected.opsets, expected)
            result += _Comparison(*scopes).body_differences(node.name)
    return result


class _Comparison:
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
            origin, due = self.actual.origin(value.name), self.expected.origin(fresh.name)
            if origin != due:
                yield zoo.Difference(scan, "Scan", f"output {index} of its body comes from {origin}, {FRESH} {due}")

    def difference(self, node: NodeProto) -> str:
        """Return the first difference of a node; empty if it has none."""
        fresh = self.expected.nodes.get(node.name)
        if fresh is None:
            return "is not in a fresh export"
        if (node.domain, node.op_type) != (fresh.domain, fresh.op_type):
            return f"operator {node.op_type}, {FRESH} {fresh.op_type}"
        return next(filter(None, self._differences(node, fresh)), "")

    def _differences(self, node: NodeProto, fresh: NodeProto) -> Iterator[str]:
        """Yield the differences in attributes, inputs and outputs; an empty text is none."""
        actual, expected = _attributes(node), _attributes(fresh)
        for name in sorted(actual.keys() | expected.keys()):
            if actual.get(name) != expected.get(name):
                yield f"attribute {name}: {actual.get(name, 'none')}, {FRESH} {expected.get(name, 'none')}"
        for index, (value, due) in enumerate(zip_longest(node.input, fresh.input, fillvalue="")):
            yield self._input_difference(_input_name(node, index), value, due, folded=self.actual.is_constant(node))
        for value, due in zip(node.output, fresh.output, strict=False):
            if value != due and (value in self.actual.outputs or due in self.expected.outputs):
                yield f"gives {value!r}, in a fresh export {due!r}"

    def _input_difference(self, name: str, value: str, fresh: str, *, folded: bool) -> str:
        """Return the difference of an input; empty if there is none.

        Numbers that a node turns into other constants (``folded``) are compared where these are used, since one weight
        may be split for several nodes, and one of those computes the wrong value.
        """
        if not value or not fresh:
            if value == fresh:
                return ""
            state, fresh_state = ("is left out", "given") if fresh else ("is given", "left out")
            return f"{name} {state}, in a fresh export it is {fresh_state}"
        actual, expected = self.actual.constant(value), self.expected.constant(fresh)
        if actual is not None and expected is not None:
            return "" if folded else _number_difference(name, actual, expected)
        origin = self.actual.origin(value) if actual is None else "a constant"
        due = self.expected.origin(fresh) if expected is None else "a constant"
        if actual is None and expected is None and origin == due:
            return ""
        return f"{name} comes from {origin}, {FRESH} {due}"


def _number_difference(name: str, actual: NDArray[Any], expected: NDArray[Any]) -> str:
    """Return the difference of two arrays; empty if they are equal, NaN included."""
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return f"{name} is {actual.dtype} {actual.shape}, {FRESH} {expected.dtype} {expected.shape}"
    both_nan = (actual != actual) & (expected != expected)
    different = ~((actual == expected) | both_nan)
    count = int(np.count_nonzero(different))
    if not count:
        return ""
    if actual.size == 1:
        return f"{name} is {actual.item():.6g}, {FRESH} {expected.item():.6g}"
    with np.errstate(invalid="ignore", over="ignore"):
        largest = np.abs(actual.astype(np.float64) - expected.astype(np.float64))[different].max()
    return f"{name} differs in {count} of {actual.size} numbers, the most by {largest:.1e}"


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
