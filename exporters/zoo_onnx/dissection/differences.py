"""How a node differs from the node of the same name in a fresh export: operator, attributes, inputs, constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """The values of a graph by name, and what each of them is: a constant, or what some node makes.

    Args:
        outer: the scope around a body.
    """

    def __init__(self, graph: GraphProto, opsets: Sequence[OperatorSetIdProto], outer: Scope | None = None) -> None:
        self.graph, self.opsets = graph, opsets
        self.nodes = {node.name: node for node in graph.node}
        self.outer = outer
        self._constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self._made = {name: (node.name, place) for node in graph.node for place, name in enumerate(node.output)}
        self._inputs = {value.name: place for place, value in enumerate(graph.input)}
        self.outputs = {value.name: place for place, value in enumerate(graph.output)}

    def constant(self, name: str) -> NDArray[Any] | None:
        """The numbers of a weight, or of what nodes make of weights alone; None for any other value."""
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
        """Whether a node of the main graph makes something of weights alone."""
        return (
            self.outer is None
            and body_of(node) is None
            and all(self._from_weights(name) for name in node.input if name)
        )

    def _from_weights(self, name: str) -> bool:
        return name in self._constants or (name in self._made and self.is_constant(self.nodes[self._made[name][0]]))

    def origin(self, name: str) -> str:
        """Where a value comes from, in words that do not depend on what it is called."""
        if name in self._made:
            node, place = self._made[name]
            return f"{node}, output {place}" if place else node
        if name in self._inputs:
            return name
        return name if self.outer is None else self.outer.origin(name)


def differences(file: ModelProto, fresh: ModelProto, bad: str, good: set[str]) -> list[zoo.Difference]:
    """The nodes between good values and a bad one that differ; see `zoo.Dissection.differences`."""
    ours, theirs = (Scope(model.graph, list(model.opset_import)) for model in (file, fresh))
    found = []
    for node in between(file.graph, bad, good):
        own = theirs.nodes.get(node.name)
        if what := _difference(node, own, ours, theirs):
            found.append(zoo.Difference(node.name, node.op_type, what))
        body, other = body_of(node), None if own is None else body_of(own)
        if body is not None and other is not None:
            found += _inside(node.name, body, other, ours, theirs)
    return found


def _inside(scan: str, body: GraphProto, fresh: GraphProto, ours: Scope, theirs: Scope) -> Iterator[zoo.Difference]:
    """The nodes of a body that differ; and the loop itself, where its body hands out other values."""
    inner, other = (Scope(graph, scope.opsets, scope) for graph, scope in ((body, ours), (fresh, theirs)))
    for node in body.node:
        if what := _difference(node, other.nodes.get(node.name), inner, other):
            yield zoo.Difference(node.name, node.op_type, what, scan)
    for place, (value, own) in enumerate(zip(body.output, fresh.output, strict=False)):
        found, wanted = inner.origin(value.name), other.origin(own.name)
        if found != wanted:
            what = f"output {place} of its body comes from {found}, {FRESH} {wanted}"
            yield zoo.Difference(scan, "Scan", what)


def _difference(node: NodeProto, fresh: NodeProto | None, ours: Scope, theirs: Scope) -> str:
    """The first way in which a node differs; empty where it does not."""
    if fresh is None:
        return "is not in a fresh export"
    if (node.domain, node.op_type) != (fresh.domain, fresh.op_type):
        return f"operator {node.op_type}, {FRESH} {fresh.op_type}"
    return next((what for what in _ways(node, fresh, ours, theirs) if what), "")


def _ways(node: NodeProto, fresh: NodeProto, ours: Scope, theirs: Scope) -> Iterator[str]:
    mine, wanted = _attributes(node), _attributes(fresh)
    for name in sorted(mine.keys() | wanted.keys()):
        if mine.get(name) != wanted.get(name):
            yield f"attribute {name}: {mine.get(name, 'none')}, {FRESH} {wanted.get(name, 'none')}"
    for place in range(max(len(node.input), len(fresh.input))):
        found, own = (one.input[place] if place < len(one.input) else "" for one in (node, fresh))
        yield _other_input(_input_name(node, place), found, own, ours, theirs, folded=ours.is_constant(node))
    for one, own in zip(node.output, fresh.output, strict=False):
        if one != own and (one in ours.outputs or own in theirs.outputs):
            yield f"gives {one!r}, in a fresh export {own!r}"


def _other_input(name: str, found: str, fresh: str, ours: Scope, theirs: Scope, *, folded: bool) -> str:
    """How an input differs. Numbers that a node makes into other constants (``folded``) are told where those are used:
    one weight may be cut up for several nodes, and it is one of them that computes something wrong."""
    if not found or not fresh:
        told = "is left out, in a fresh export it is given" if fresh else "is given, in a fresh export it is left out"
        return "" if found == fresh else f"{name} {told}"
    mine, wanted = ours.constant(found), theirs.constant(fresh)
    if mine is not None and wanted is not None:
        return "" if folded else _other_numbers(name, mine, wanted)
    if mine is None and wanted is None:
        come, due = ours.origin(found), theirs.origin(fresh)
        return "" if come == due else f"{name} comes from {come}, {FRESH} {due}"
    come = ours.origin(found) if mine is None else "a constant"
    due = theirs.origin(fresh) if wanted is None else "a constant"
    return f"{name} comes from {come}, {FRESH} {due}"


def _other_numbers(name: str, mine: NDArray[Any], wanted: NDArray[Any]) -> str:
    if mine.shape != wanted.shape or mine.dtype != wanted.dtype:
        return f"{name} is {mine.dtype} {mine.shape}, {FRESH} {wanted.dtype} {wanted.shape}"
    other = mine.tobytes() != wanted.tobytes() and ~((mine == wanted) | ((mine != mine) & (wanted != wanted)))
    count = int(np.count_nonzero(other))
    if not count:
        return ""
    if mine.size == 1:
        return f"{name} is {mine.item():.6g}, {FRESH} {wanted.item():.6g}"
    with np.errstate(invalid="ignore", over="ignore"):
        most = np.abs(mine.astype(np.float64) - wanted.astype(np.float64))[other].max()
    return f"{name} differs in {count} of {mine.size} numbers, the most by {most:.1e}"


def _input_name(node: NodeProto, place: int) -> str:
    """What the specification of the operator calls an input, such as ``input R``."""
    try:
        formal = onnx.defs.get_schema(node.op_type, domain=node.domain).inputs
    except onnx.defs.SchemaError:
        return f"input {place}"
    several = place >= len(formal) or formal[place].option == onnx.defs.OpSchema.FormalParameterOption.Variadic
    return f"input {place}" if several else f"input {formal[place].name}"


def _attributes(node: NodeProto) -> dict[str, str]:
    """Every attribute in words, but for bodies."""
    return {one.name: _told(one) for one in node.attribute if one.type != AttributeProto.GRAPH}


def _told(attribute: AttributeProto) -> str:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return str(numpy_helper.to_array(value).tolist())
    if isinstance(value, list | tuple):
        return f"[{', '.join(one.decode() if isinstance(one, bytes) else str(one) for one in value)}]"
    return str(value)
