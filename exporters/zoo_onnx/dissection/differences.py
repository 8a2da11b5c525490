"""Differences between correct values and a wrong one: each node compared with that of a fresh export."""

from __future__ import annotations

from onnx import ModelProto

import zoo
from zoo_onnx.structure.graphs import between, body_of
from zoo_onnx.structure.nodes import NodeComparison
from zoo_onnx.structure.scope import Scope


def differences(file: ModelProto, fresh: ModelProto, bad: str, good: set[str]) -> list[zoo.Difference]:
    """Return the nodes between correct values and a wrong one that differ; see `zoo.Dissection.differences`."""
    actual, expected = (Scope(model.graph, list(model.opset_import)) for model in (file, fresh))
    comparison = NodeComparison(actual, expected)
    result = []
    for node in between(file.graph, bad, good):
        if what := comparison.difference(node):
            result.append(zoo.Difference(node.name, node.op_type, what))
        counterpart = expected.nodes.get(node.name)
        body, fresh_body = body_of(node), None if counterpart is None else body_of(counterpart)
        if body is not None and fresh_body is not None:
            scopes = Scope(body, actual.opsets, actual), Scope(fresh_body, expected.opsets, expected)
            result += NodeComparison(*scopes).body_differences(node.name)
    return result
