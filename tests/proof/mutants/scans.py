"""Faults of a Scan: in its body, its directions and its states."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto, helper

from tests.proof.mutants.graph import Graph
from tests.proof.mutants.mutant import NAN, Mutant, Mutation, become_identity, body, gemm, of_type, reroute


def exchange_inputs_of_gates(place: int) -> Mutation:
    """Exchange inputs of the input and the forget gate: 1, the recurrent weights; 2, the projected input."""

    def exchange(graph: Graph) -> None:
        inside = body(graph, "layer_0/lstm")
        first, second = gemm(inside, 0), gemm(inside, 1)
        first.input[place], second.input[place] = second.input[place], first.input[place]

    return exchange


def drop_addend(graph: Graph) -> None:
    """Drop the projected input from the recurrent product of a gate."""
    del gemm(body(graph, "layer_1/lstm"), 0).input[2:]


def replace_activation(operator: str, other: str) -> Mutation:
    """Replace the first activation of its kind in a body."""

    def replace(graph: Graph) -> None:
        of_type(body(graph, "layer_0/lstm"), operator)[0].op_type = other

    return replace


def flip_direction(graph: Graph) -> None:
    graph.attribute("layer_0/lstm", scan_input_directions=[1] * 4, scan_output_directions=[1])


def flip_output_direction(graph: Graph) -> None:
    graph.attribute("layer_0/gru", scan_output_directions=[0])


def flip_one_input(graph: Graph) -> None:
    """Let one gate read time in reverse."""
    graph.attribute("layer_0/lstm", scan_input_directions=[1, 0, 0, 0])


def misalign_reverse(graph: Graph) -> None:
    """Rotate the outputs by one step, so that the last one comes first."""
    node = graph.node("layer_0/gru")
    node.output[1] = "aligned"
    for name, value in (("starts", 1), ("ends", 2**31), ("origin", 0)):
        graph.set(name, np.array([value]))
    graph.insert(
        "layer_0/gru",
        helper.make_node("Slice", ["aligned", "starts", "ends", "origin"], ["rest"], "rest"),
        helper.make_node("Slice", ["aligned", "origin", "starts", "origin"], ["start"], "start"),
        helper.make_node("Concat", ["rest", "start"], ["layer_0/gru:outputs"], "late", axis=0),
    )


def keep_state(part: int) -> Mutation:
    """Return a part of the state unchanged from each step: part 0 is h, part 1 is c."""

    def keep(graph: Graph) -> None:
        inside = body(graph, "layer_0/lstm").graph
        name = f"kept_{part}"
        inside.node.append(helper.make_node("Identity", [inside.input[part].name], [name], name))
        inside.output[part].name = name

    return keep


def exchange_states(graph: Graph) -> None:
    """Carry h as c and c as h."""
    outputs = body(graph, "layer_0/lstm").graph.output
    outputs[0].name, outputs[1].name = outputs[1].name, outputs[0].name


def give_state_before(graph: Graph) -> None:
    """Output the state at the start of each step, which is one step late."""
    inside = body(graph, "layer_0/lstm")
    (output,) = of_type(inside, "Identity")
    output.input[0] = inside.graph.input[0].name


def skip_layer(graph: Graph) -> None:
    """Connect layer 1 to the input of layer 0."""
    (product,) = [node for node in of_type(graph, "MatMul") if node.input[0] == "layer_0/lstm:outputs"]
    product.input[0] = "to_time_major:0"


def reset_before(graph: Graph) -> None:
    """Multiply the reset gate with the state instead of with the product."""
    inside = body(graph, "layer_0/gru")
    product = gemm(inside, 2)
    (reset,) = [node for node in of_type(inside, "Mul") if product.output[0] in node.input]
    (candidate,) = [node for node in of_type(inside, "Add") if reset.output[0] in node.input]
    reroute(reset, product.output[0], product.input[0])
    reroute(product, product.input[0], reset.output[0])
    reroute(candidate, reset.output[0], product.output[0])
    moved = NodeProto()
    moved.CopyFrom(product)
    inside.remove(moved.name)
    inside.insert(reset.name, moved)


def invert_update(graph: Graph) -> None:
    """Compute h + z (n - h) in place of n + z (h - n): the other convention for z."""
    inside = body(graph, "layer_0/gru")
    (difference,) = of_type(inside, "Sub")
    state, candidate = difference.input
    last = of_type(inside, "Add")[-1]
    difference.input[0], difference.input[1] = candidate, state
    reroute(last, candidate, state)


def change_epsilon(graph: Graph) -> None:
    inside = body(graph, "layer_0/layer_norm_lstm")
    inside.attribute(of_type(inside, "LayerNormalization")[0].name, epsilon=1e-3)


def drop_normalisation(graph: Graph) -> None:
    node = of_type(body(graph, "layer_0/layer_norm_lstm"), "LayerNormalization")[-1]
    become_identity(node, node.input[0])


def couple_wrongly(graph: Graph) -> None:
    """Use f in place of 1 - f in a minimal gated unit."""
    inside = body(graph, "layer_0/mgu")
    (complement,) = of_type(inside, "Sub")
    become_identity(complement, complement.input[1])


LSTM, GRU = "LSTM as Scan", "GRU as Scan, lengths"

MUTANTS = [
    Mutant("recurrent weights of two gates exchanged", LSTM, exchange_inputs_of_gates(1)),
    Mutant("inputs of two gates exchanged", LSTM, exchange_inputs_of_gates(2)),
    Mutant("addend of a Gemm dropped", LSTM, drop_addend),
    Mutant("hard sigmoid for sigmoid", LSTM, replace_activation("Sigmoid", "HardSigmoid")),
    Mutant("softsign for tanh", LSTM, replace_activation("Tanh", "Softsign")),
    Mutant("direction flipped", LSTM, flip_direction),
    Mutant("one gate reads time the other way round", LSTM, flip_one_input),
    Mutant("outputs of a reverse Scan not turned back", GRU, flip_output_direction, refusal=NAN),
    Mutant("reverse direction misaligned by one", GRU, misalign_reverse, refusal=NAN),
    Mutant("h not carried to the next step", LSTM, keep_state(0)),
    Mutant("c not carried to the next step", LSTM, keep_state(1)),
    Mutant("h and c exchanged", LSTM, exchange_states),
    Mutant("output one step late", LSTM, give_state_before),
    Mutant("one layer skipped", LSTM, skip_layer),
    Mutant("reset before in place of after the product", GRU, reset_before),
    Mutant("update gate inverted", GRU, invert_update),
    Mutant("f in place of 1 - f", "MGU as Scan, states", couple_wrongly),
    Mutant("epsilon of a layer norm 1e-3 for 1e-5", "layer-norm LSTM as Scan", change_epsilon),
    Mutant("a layer norm left out", "layer-norm LSTM as Scan", drop_normalisation),
]
