"""Alterations of the structure alone: no number changes, or by less than rounding."""

from __future__ import annotations

import numpy as np
from onnx import helper

from tests.proof.mutants.conditions import Nodes, replaced
from tests.proof.mutants.graph import Graph
from tests.proof.mutants.mutant import Mutant, Mutation, body, reroute


def add_dead_node(graph: Graph) -> None:
    """Add a node whose output nothing reads."""
    graph.graph.node.append(helper.make_node("Neg", ["logits"], ["unread"], "unread"))


def add_dead_node_to_step(graph: Graph) -> None:
    """Add a node to a Scan's body whose output nothing reads."""
    inside = body(graph, "layer_0/lstm").graph
    inside.node.append(helper.make_node("Neg", [inside.input[0].name], ["unread"], "unread"))


def add_unused_weight(graph: Graph) -> None:
    graph.set("unused", np.arange(4, dtype=np.float32))


def add_unused_function(graph: Graph) -> None:
    """Add a function that no node calls."""
    node = helper.make_node("Neg", ["x"], ["y"])
    function = helper.make_function("local", "Unused", ["x"], ["y"], [node], list(graph.model.opset_import))
    graph.model.functions.append(function)
    graph.model.opset_import.append(helper.make_opsetid("local", 1))


def flip_last_bit(name: str) -> Mutation:
    """Flip the lowest bit of one number of a weight."""

    def flip(graph: Graph) -> None:
        weight = graph.weight(name)
        weight.view(np.uint32).flat[3] ^= 1
        graph.set(name, weight)

    return flip


def rename_free_size(graph: Graph) -> None:
    """Declare another name for the free batch size of an output."""
    graph.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "rows"


def declare_otherwise(graph: Graph) -> None:
    """Declare another shape of a value inside the graph."""
    declared = [value for value in graph.graph.value_info if len(value.type.tensor_type.shape.dim) == 1]
    declared[0].type.tensor_type.shape.dim[0].dim_param = "n"


def document_otherwise(graph: Graph) -> None:
    """Write another documentation of the inputs."""
    graph.model.doc_string = "Input x: (time, batch, features)."


def forget_classes(graph: Graph) -> None:
    """Declare any number of classes."""
    graph.graph.output[1].type.tensor_type.shape.dim[1].dim_param = "classes"


def exchange_output_order(graph: Graph) -> None:
    """List the outputs in another order, under their own names."""
    outputs = list(graph.graph.output)
    del graph.graph.output[:]
    graph.graph.output.extend(reversed(outputs))


def rename_input(graph: Graph) -> None:
    graph.graph.input[0].name = "inputs"
    for node in graph.graph.node:
        if "x" in node.input:
            reroute(node, "x", "inputs")


def weight_as_constant(graph: Graph) -> None:
    """Give the head's bias by a Constant node instead of an initialiser."""
    (tensor,) = [tensor for tensor in graph.graph.initializer if tensor.name == "head/bias"]
    graph.graph.node.insert(0, helper.make_node("Constant", [], ["head/bias"], "head/bias", value=tensor))
    graph.graph.initializer.remove(tensor)


def merge_equal_nodes(graph: Graph) -> None:
    """Start c of a layer with the zeros of h, which are the same, and remove those of c."""
    graph.node("layer_0/lstm").input[1] = "state_0_h/initial:0"
    for name in ("state_0_c/initial", "state_0_c/initial/shape"):
        graph.remove(name)


def exchange_addends(graph: Graph) -> None:
    """Exchange the inputs of an addition."""
    node = graph.node("layer_1/lstm/project/with_bias")
    node.input[0], node.input[1] = node.input[1], node.input[0]


def write_layout(graph: Graph) -> None:
    """Write an attribute's default."""
    graph.attribute("layer_0/gru", layout=0)


def claim_opset(graph: Graph) -> None:
    """Import the next operator set, whose operators of this file are the same."""
    graph.model.opset_import[0].version += 1


def identity(nodes: Nodes, right: str) -> str:
    return nodes("Identity", right)


GRU, LSTM, SCAN = "GRU, trained", "LSTM, trained", "LSTM as Scan"

MUTANTS = [
    Mutant("dead node added", GRU, add_dead_node, certain=False),
    Mutant("dead node added to a step", SCAN, add_dead_node_to_step, certain=False),
    Mutant("unused weight added", LSTM, add_unused_weight, certain=False),
    Mutant("unused function added", GRU, add_unused_function, certain=False),
    Mutant("weight off in the last bit", LSTM, flip_last_bit("layer_1/lstm/R"), certain=False),
    Mutant("weight off in the last bit", SCAN, flip_last_bit("stack.layers.0.cells.0.h2h.weight"), certain=False),
    Mutant("free size renamed", GRU, rename_free_size, certain=False),
    Mutant("shape of an inner value declared otherwise", LSTM, declare_otherwise, certain=False),
    Mutant("documentation changed", LSTM, document_otherwise, certain=False),
    Mutant("number of classes not declared", GRU, forget_classes, certain=False),
    Mutant("outputs listed in another order", GRU, exchange_output_order, certain=False),
    Mutant("input renamed", GRU, rename_input, refusal="does not take an input 'x'"),
    Mutant("bias as a Constant node", GRU, weight_as_constant, certain=False),
    Mutant("equal nodes merged", SCAN, merge_equal_nodes, certain=False),
    Mutant("addends exchanged", SCAN, exchange_addends, certain=False),
    Mutant("layout written out", GRU, write_layout, certain=False),
    Mutant("Identity added", "GRU of tokens", replaced("encoder/embedding:0", identity), certain=False),
    Mutant("opset raised", LSTM, claim_opset, certain=False),
]
