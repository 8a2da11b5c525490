"""Canonical form of a file: what it computes and declares, without the names of values and nodes and their order.

Each value has a hash: that of a node's output covers the operator, its attributes with the bodies among them, the
hashes of its inputs and the index of the output. That of a weight covers its type, shape and bytes, that of an input of
the main graph its name, and that of an input of a body its position. So two values with one hash are computed in the
same way, whatever the nodes are called (a Merkle tree; R. Merkle, A Digital Signature Based on a Conventional
Encryption Function, 1987). Equal nodes are counted, since a file may contain a node twice or one that nothing reads.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from onnx import (
    AttributeProto,
    FunctionProto,
    GraphProto,
    ModelProto,
    NodeProto,
    SparseTensorProto,
    TensorProto,
    TrainingInfoProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

Digest = bytes
"""Hash of a part of a file."""


def digest(*parts: object) -> Digest:
    """Return the hash of a sequence of texts, bytes, numbers, and tuples of these."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()


def tensor_digest(tensor: TensorProto) -> Digest:
    """Return the hash of a tensor's type, shape and bits, however the file encodes them; its name has no part in it."""
    if tensor.data_type == TensorProto.STRING:
        content = repr(list(tensor.string_data)).encode()
    else:
        content = numpy_helper.to_array(tensor).tobytes()
    # The bytes are hashed on their own, since their repr would be four times as long.
    return digest("tensor", tensor.data_type, tuple(tensor.dims), hashlib.blake2b(content, digest_size=16).digest())


def type_digest(value: ValueInfoProto) -> bytes:
    """Return the declared type and shape of a value; empty where none is declared."""
    return bytes(value.type.SerializeToString(deterministic=True))


@dataclass(frozen=True)
class Form:
    """Canonical form of the main graph of a file; two files with equal forms compute the same."""

    nodes: Mapping[Digest, int]
    """Number of nodes with each hash."""
    weights: Mapping[Digest, int]
    """Number of initialisers with each hash, unused ones included."""
    inputs: Sequence[tuple[str, bytes]]
    """Name and declared type of each input."""
    outputs: Sequence[tuple[str, bytes, Digest]]
    """Name, declared type and hash of each output."""
    declared: Mapping[tuple[Digest, bytes], int]
    """Hash and declared type of every value inside the graph that has one."""
    header: Mapping[str, str]


def form_of(model: ModelProto, weights: Mapping[str, Digest]) -> Form:
    """Return the canonical form of a file.

    Args:
        model: the file.
        weights: the hash of each initialiser of the main graph, by name.
    """
    graph = model.graph
    hashes = Hashes(graph, weights)
    return Form(
        Counter(hashes.nodes),
        Counter(weights.values()),
        [(value.name, type_digest(value)) for value in graph.input],
        [(value.name, type_digest(value), hashes.of(value.name)) for value in graph.output],
        _declared(graph, hashes),
        header(model),
    )


def header(model: ModelProto) -> dict[str, str]:
    """Return everything of a file outside its graph's values and nodes, as text by name; metadata aside.

    The version of the producer is left out, since it is in the metadata too.
    """
    graph = model.graph
    versions = {opset.domain: opset.version for opset in model.opset_import}
    return {
        **{f"opset of {domain or 'ONNX'}": str(version) for domain, version in sorted(versions.items())},
        "ir_version": str(model.ir_version),
        "producer_name": model.producer_name,
        "domain": model.domain,
        "model_version": str(model.model_version),
        "doc_string": model.doc_string,
        "name of the graph": graph.name,
        "doc_string of the graph": graph.doc_string,
        "functions": _text(model.functions),
        "training_info": _text(model.training_info),
        "sparse initialisers": _text(graph.sparse_initializer),
        "further parts": further(model),
        "further parts of the graph": further(graph),
    }


def _text(messages: Iterable[FunctionProto | SparseTensorProto | TrainingInfoProto]) -> str:
    """Return a short text for messages: their number and hash, or none."""
    contents = tuple(message.SerializeToString(deterministic=True) for message in messages)
    return f"{len(contents)} ({digest(contents).hex()[:8]})" if contents else "none"


_COMPARED = {
    "ModelProto": {"ir_version", "producer_name", "producer_version", "domain", "model_version", "doc_string"}
    | {"graph", "functions", "training_info", "metadata_props", "opset_import"},
    "GraphProto": {"name", "doc_string", "metadata_props", "node", "input", "output", "value_info", "initializer"}
    | {"sparse_initializer"},
    "NodeProto": {"name", "doc_string", "metadata_props", "domain", "op_type", "input", "output", "attribute"},
}
"""Fields of each kind of message that have a comparison of their own, and those that have no effect."""


def further(message: ModelProto | GraphProto | NodeProto) -> str:
    """Return the fields of a model, a graph or a node that have no comparison of their own, as a text; or none."""
    compared = _COMPARED[message.DESCRIPTOR.name]
    fields = [(field.name, value) for field, value in message.ListFields() if field.name not in compared]
    return ", ".join(f"{name} ({digest(str(value)).hex()[:8]})" for name, value in fields) or "none"


def declared(graph: GraphProto) -> dict[str, ValueInfoProto]:
    """Return the declarations of inner values by name; one that repeats the type of a weight is left out."""
    own = {
        tensor.name: type_digest(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        for tensor in graph.initializer
    }
    types = ((value, type_digest(value)) for value in graph.value_info)
    return {value.name: value for value, declaration in types if declaration and own.get(value.name) != declaration}


def _declared(graph: GraphProto, hashes: Hashes) -> Mapping[tuple[Digest, bytes], int]:
    """Return the number of inner values with each hash and declaration."""
    return Counter((hashes.of(name), type_digest(value)) for name, value in declared(graph).items())


class Hashes:
    """Hashes of the nodes and values of a graph.

    Args:
        graph: a main graph, or a body.
        weights: the hash of each initialiser, by name.
        outer: the values of the outer graph that a body may read; None for a main graph.
        named: decides which nodes stand for themselves: their outputs are hashed by the node's name. None: no node.
    """

    def __init__(
        self,
        graph: GraphProto,
        weights: Mapping[str, Digest],
        outer: Hashes | None = None,
        named: Callable[[NodeProto], bool] | None = None,
    ) -> None:
        self._outer = outer
        self.depth: int = 0 if outer is None else outer.depth + 1
        inputs = enumerate(value.name for value in graph.input)
        self._values = {name: digest("input", self.depth, index if outer else name) for index, name in inputs}
        self._values.update(weights)
        self.nodes: list[Digest] = []
        """Hash of each node, in the order of the graph."""
        for node in graph.node:  # in an order in which each node follows those that it reads, as ONNX demands
            self.nodes.append(self._node(node))
            origin = digest("node", node.name) if named is not None and named(node) else self.nodes[-1]
            self._values.update({name: digest(origin, index) for index, name in enumerate(node.output) if name})

    def of(self, name: str) -> Digest:
        """Return the hash of a value; for a value that the graph lacks it covers the name."""
        if name in self._values:
            return self._values[name]
        return digest("missing", name) if self._outer is None else self._outer.of(name)

    def _node(self, node: NodeProto) -> Digest:
        domain = "" if node.domain == "ai.onnx" else node.domain
        attributes = sorted((attribute.name, self._attribute(attribute)) for attribute in node.attribute)
        inputs = [self.of(name) if name else b"" for name in node.input]
        return digest(node.op_type, domain, attributes, inputs, [bool(name) for name in node.output], further(node))

    def _attribute(self, attribute: AttributeProto) -> Digest:
        kind = AttributeProto.AttributeType.Name(attribute.type)
        if attribute.type == AttributeProto.GRAPH:
            return self._body(attribute.g)
        if attribute.type == AttributeProto.TENSOR:
            return tensor_digest(attribute.t)
        plain = AttributeProto()
        plain.CopyFrom(attribute)
        plain.ClearField("doc_string")
        return digest(kind, plain.SerializeToString(deterministic=True))

    def of_body(self, graph: GraphProto) -> Hashes:
        """Return the hashes of a body of one of the graph's nodes."""
        return Hashes(graph, {tensor.name: tensor_digest(tensor) for tensor in graph.initializer}, self)

    def _body(self, graph: GraphProto) -> Digest:
        """Return the hash of a body; it does not depend on the names of its inputs, outputs, nodes and values."""
        hashes = self.of_body(graph)
        return digest(
            "body",
            sorted(hashes.nodes),
            sorted(tensor_digest(tensor) for tensor in graph.initializer),
            [type_digest(value) for value in graph.input],
            [(type_digest(value), hashes.of(value.name)) for value in graph.output],
            sorted(_declared(graph, hashes).items()),
            _text(graph.sparse_initializer),
            further(graph),
        )
