"""Everything in which a file differs from a fresh export of the same model, metadata aside.

Whether the files are equal is decided by their canonical forms (`zoo_onnx.structure.form`), which do not depend on
names that a library makes up. Only where the forms differ, parts of one name are compared, to describe the differences.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

import zoo
from zoo_onnx.builder import TRACED
from zoo_onnx.structure.form import Digest, Hashes, declared, form_of, header, type_digest
from zoo_onnx.structure.graphs import body_of
from zoo_onnx.structure.interface import body_input_differences, interface_differences, type_text
from zoo_onnx.structure.nodes import FRESH, NodeComparison
from zoo_onnx.structure.scope import Scope
from zoo_onnx.structure.weights import weight_differences, weight_digests


def differences(file: ModelProto, fresh: ModelProto) -> list[zoo.Difference]:
    """Return everything in which a file differs from a fresh export; see `zoo.Exporter.differences`."""
    digests = weight_digests(file.graph, fresh.graph)
    if form_of(file, digests[0]) == form_of(fresh, digests[1]):
        return []
    return list(_Files(file, fresh, digests).differences()) or [
        zoo.Difference("graph", "", "does not compute what a fresh export computes, though all parts of one name agree")
    ]


class _Files:
    """Two files whose forms differ.

    Args:
        file: the file.
        fresh: the fresh export.
        digests: the hash of each initialiser of both, by name.
    """

    def __init__(
        self, file: ModelProto, fresh: ModelProto, digests: tuple[Mapping[str, Digest], Mapping[str, Digest]]
    ) -> None:
        self.file, self.fresh, self.digests = file, fresh, digests
        entries = {entry.key: entry.value for entry in fresh.metadata_props}
        loops: list[str] = json.loads(entries.get(TRACED, "[]"))
        names = "|".join(re.escape(name) for name in loops)
        self._in_step = re.compile(rf"({names})(?:/(?:project|step(?:_\d+)?)/.*)?") if loops else None
        actual, expected = (Scope(model.graph, list(model.opset_import)) for model in (file, fresh))
        hashes = (
            Hashes(file.graph, digests[0], named=self._is_named),
            Hashes(fresh.graph, digests[1], named=self._is_named),
        )
        self.comparison = _Comparison(actual, expected, *hashes)
        steps = [self._steps(graph, own) for graph, own in zip((file.graph, fresh.graph), hashes, strict=True)]
        self.equal_loops = {loop for loop in loops if steps[0].get(loop) == steps[1].get(loop)}
        """Loops whose traced steps are equal, whatever their nodes are called."""

    def loop_of(self, name: str) -> str | None:
        """Return the loop whose traced steps contain a node or a weight of this name; None if no loop does."""
        match = None if self._in_step is None else self._in_step.fullmatch(name)
        return None if match is None else match[1]

    def _is_named(self, node: NodeProto) -> bool:
        return self.loop_of(node.name) is None

    def _is_made_up(self, name: str) -> bool:
        """Return whether a library made the name up, in steps that are equal."""
        return self.loop_of(name) in self.equal_loops

    def _steps(self, graph: GraphProto, hashes: Hashes) -> Mapping[str | None, Counter[Digest]]:
        """Return the hashes of the nodes of each loop's steps."""
        steps: dict[str | None, Counter[Digest]] = {}
        for node, digest in zip(graph.node, hashes.nodes, strict=True):
            steps.setdefault(self.loop_of(node.name), Counter())[digest] += 1
        return steps

    def differences(self) -> Iterator[zoo.Difference]:
        """Yield the differences: inputs and outputs, nodes, weights, declared types, and the rest of the file."""
        file, fresh = self.file.graph, self.fresh.graph
        yield from interface_differences("input", file.input, fresh.input)
        yield from interface_differences("output", file.output, fresh.output)
        for value, due in zip(file.output, fresh.output, strict=False):
            if value.name == due.name and (what := self.comparison.origin_difference(value.name, due.name)):
                yield zoo.Difference(value.name, "", f"output {what}")
        for node in file.node:
            if not self._is_made_up(node.name):
                yield from self._node(node)
        yield from self._numbers_of_nodes()
        for tensor, what in weight_differences(file, fresh, self.digests, self._is_made_up):
            traced = self.loop_of(tensor.name) is not None and _is_no_weight(tensor)
            yield zoo.Difference(tensor.name, "", what, traced=traced)
        yield from self._declared()
        actual, expected = header(self.file), header(self.fresh)
        for name in dict.fromkeys([*actual, *expected]):
            if (text := actual.get(name, "none")) != (due_text := expected.get(name, "none")):
                yield zoo.Difference("file", "", f"{name} is {text!r}, {FRESH} {due_text!r}")

    def _node(self, node: NodeProto) -> Iterator[zoo.Difference]:
        """Yield the differences of a node and of its body."""
        traced = self.loop_of(node.name) is not None
        for what in self.comparison.differences(node):
            yield zoo.Difference(node.name, node.op_type, what, traced=traced)
        for inner in self._body(node):
            yield zoo.Difference(inner.node, inner.operator, inner.what, node.name, traced=traced)

    def _body(self, node: NodeProto) -> Iterator[zoo.Difference]:
        """Yield the differences of the body of a loop from that of the loop of the same name."""
        counterpart = self.comparison.expected.nodes.get(node.name)
        body, fresh = body_of(node), None if counterpart is None else body_of(counterpart)
        if body is None or fresh is None:
            return
        inner = self.comparison.inside(body, fresh)
        yield from inner.body_differences(node.name)
        yield from body_input_differences(node, body, fresh)
        for name, missing in inner.expected.nodes.items():
            if name not in inner.actual.nodes:
                yield zoo.Difference(name, missing.op_type, f"is missing, {FRESH} it")

    def _numbers_of_nodes(self) -> Iterator[zoo.Difference]:
        """Yield the nodes of the main graph that are missing, and those whose name occurs more than once."""
        actual, expected = (Counter(node.name for node in model.graph.node) for model in (self.file, self.fresh))
        nodes = {node.name: node for node in (*self.file.graph.node, *self.fresh.graph.node)}
        for name, node in nodes.items():
            if self._is_made_up(name) or actual[name] == max(1, expected[name]):
                continue
            times = f"occurs {actual[name]} times, {FRESH} it {expected[name]} times"
            what = times if actual[name] else f"is missing, {FRESH} it"
            yield zoo.Difference(name, node.op_type, what, traced=self.loop_of(name) is not None)

    def _declared(self) -> Iterator[zoo.Difference]:
        """Yield the values inside the graph with another declared type or shape."""
        actual, expected = declared(self.file.graph), declared(self.fresh.graph)
        for name in dict.fromkeys([*actual, *expected]):
            value, due = (values.get(name, ValueInfoProto(name=name)) for values in (actual, expected))
            if type_digest(value) != type_digest(due):
                what = f"is declared as {type_text(value)}, {FRESH} {type_text(due)}"
                yield zoo.Difference(name, "", what, traced=self.loop_of(name) is not None)


class _Comparison(NodeComparison):
    """Comparison of nodes in which weights count as equal if their names are, since they are compared on their own."""

    def __init__(self, actual: Scope, expected: Scope, hashes: Hashes, fresh_hashes: Hashes) -> None:
        super().__init__(actual, expected)
        self._hashes = hashes, fresh_hashes

    def inside(self, body: GraphProto, fresh: GraphProto) -> _Comparison:
        """Return the comparison of two bodies."""
        actual, expected = (
            Scope(body, self.actual.opsets, self.actual),
            Scope(fresh, self.expected.opsets, self.expected),
        )
        return _Comparison(actual, expected, self._hashes[0].of_body(body), self._hashes[1].of_body(fresh))

    def origin_difference(self, value: str, fresh: str) -> str:
        if self._hashes[0].of(value) == self._hashes[1].of(fresh):
            return ""
        kind, due_kind = self.actual.kind(value), self.expected.kind(fresh)
        if kind == due_kind:
            return super().origin_difference(value, fresh)
        return (
            f"comes from the {kind} {self.actual.origin(value)}, {FRESH} the {due_kind} {self.expected.origin(fresh)}"
        )

    def value_difference(self, name: str, value: str, fresh: str, node: NodeProto) -> str:  # noqa: ARG002
        what = self.origin_difference(value, fresh)
        return what and f"{name} {what}"


def _is_no_weight(tensor: TensorProto) -> bool:
    """Return whether an initialiser is a number or a shape, such as a library makes for a step."""
    return len(tensor.dims) == 0 or tensor.data_type == TensorProto.INT64
