"""Twenty deliberate faults, each with the node that `zoo bisect` must name, and for a loop the first wrong step.

Node names inside a body come from torch and change with its version. A fault therefore finds its node by operator and
order, and returns the name. ``python -m tests.bisect.seeded`` prints the table.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, NodeProto

import zoo
from tests.proof.mutants import Graph, blocks
from tests.proof.mutants.around import normalise_twice
from tests.proof.mutants.lengths import drop_lengths
from tests.proof.mutants.mutant import Mutation
from tests.proof.mutants.weights import swap_directions, swap_layers
from tests.support.models import draw, make_model
from zoo.bisect import Suspect, bisect
from zoo.proof.cases import draw_cases
from zoo.proof.domain import Domain
from zoo.proof.expectations import Expectations
from zoo.runtime.session import OnnxSession
from zoo_onnx import OnnxExporter

SHAPES = ((1, 1), (1, 7), (3, 12))
TOKENS = 20


def _embedding() -> zoo.Embedding:
    return zoo.Embedding(TOKENS, 6, 0.0)


MODELS: dict[str, Callable[[], zoo.Model]] = {
    "lstm": lambda: make_model("lstm", hidden_size=8, num_layers=3),
    "bigru": lambda: make_model(
        "gru_after",
        hidden_size=8,
        num_layers=2,
        direction="bidirectional",
        pooling="mean",
        takes_lengths=True,
        encoder=_embedding(),
    ),
    "rnn": lambda: make_model("rnn_tanh", hidden_size=8, direction="reverse", pooling="max", takes_lengths=True),
    "mgu": lambda: make_model(
        "mgu", hidden_size=8, num_layers=2, direction="bidirectional", pooling="mean", takes_lengths=True
    ),
    "peephole": lambda: make_model("peephole_lstm", hidden_size=8, num_layers=2, pooling=None),
}
"""Models whose files are altered. The RNN is exported for CUDA, where it is a native node."""


# --- alterations; each returns the name of the node that must be reported -------------------------------------------


def naming(node: str, mutate: Mutation) -> Callable[[Graph], str]:
    """Apply a fault of `tests.proof.mutants`, and return the name of a node."""

    def change(graph: Graph) -> str:
        mutate(graph)
        return node

    return change


def move(name: str, node: str, place: tuple[int, ...], by: float) -> Callable[[Graph], str]:
    """Add a number to one entry of a weight, to a row of it, or to all entries."""

    def move_one(graph: Graph) -> str:
        array = graph.weight(name)
        array[place] += by
        graph.set(name, array)
        return node

    return move_one


def set_attribute(node: str, **values: object) -> Callable[[Graph], str]:
    return naming(node, lambda graph: graph.attribute(node, **values))


def set_operator(node: str, operator: str) -> Callable[[Graph], str]:
    def change(graph: Graph) -> str:
        graph.node(node).op_type = operator
        return node

    return change


def exchange_bias_gates(graph: Graph) -> str:
    graph.set("layer_2/lstm/B", blocks(graph.weight("layer_2/lstm/B"), [0, 2, 3, 1, 4, 6, 7, 5]))
    return "layer_2/lstm"


def skip_layer(graph: Graph) -> str:
    """Connect the last layer to the outputs of the first one."""
    graph.node("layer_2/lstm").input[0] = graph.node("layer_0/outputs").output[0]
    return "layer_2/lstm"


def inner(graph: Graph, scan: str, operator: str, number: int = 0) -> NodeProto:
    """Return a node of a body by its index among those of an operator."""
    body: GraphProto = next(attribute.g for attribute in graph.node(scan).attribute if attribute.name == "body")
    node: NodeProto = [node for node in body.node if node.op_type == operator][number]
    return node


def harden(graph: Graph) -> str:
    node = inner(graph, "layer_1/mgu/forward", "Sigmoid")
    node.op_type = "HardSigmoid"
    return node.name


def weight_of_candidate(graph: Graph) -> str:
    node = inner(graph, "layer_0/mgu/reverse", "Gemm", 1)
    move(node.input[1], node.name, (0,), 0.2)(graph)
    return node.name


def invert_mask(graph: Graph) -> str:
    node = inner(graph, "layer_0/mgu/forward", "Where")
    node.input[1], node.input[2] = node.input[2], node.input[1]
    return node.name


def exchange_gates(graph: Graph) -> str:
    """Exchange the inputs of two gates of a peephole LSTM."""
    first, second = (inner(graph, "layer_0/peephole_lstm", "Gemm", number) for number in (0, 1))
    first.input[2], second.input[2] = second.input[2], first.input[2]
    return first.name


def drop_bias(graph: Graph) -> str:
    name = "stack.layers.1.cells.0.x2h.bias"
    graph.set(name, np.zeros_like(graph.weight(name)))
    reader: str = next(node.name for node in graph.graph.node if name in node.input)
    return reader


def weight_of_peephole(graph: Graph) -> str:
    """Move the peephole of the output gate, which reads the new cell state; one matrix contains all three."""
    reader = inner(graph, "layer_0/peephole_lstm", "Mul", 4).name
    return move("stack.layers.0.cells.0.peepholes", reader, (2,), 0.3)(graph)


@dataclass(frozen=True)
class Seeded:
    """A fault and the step that must be reported."""

    fault: str
    model: str
    """A key of `MODELS`."""
    mutate: Callable[[Graph], str]
    """Alters the graph and returns the name of the node that must be reported."""
    step: int | None
    """Index from the start of the smallest failing input; None where the first bad value has no steps."""
    steps: int = 1
    """Number of steps of the smallest failing input."""


FAULTS = [
    Seeded("one recurrent weight", "lstm", move("layer_1/lstm/R", "layer_1/lstm", (0, 3, 2), 0.3), 1, 2),
    Seeded("gates of the bias exchanged", "lstm", exchange_bias_gates, 0),
    Seeded("two layers' weights exchanged", "lstm", naming("layer_1/lstm", swap_layers), 0),
    Seeded("direction flipped", "lstm", set_attribute("layer_1/lstm", direction="reverse"), 0, 2),
    Seeded("a layer skipped", "lstm", skip_layer, 0),
    Seeded("normaliser twice", "lstm", naming("again/subtract", normalise_twice), 0),
    Seeded("one weight of the head", "lstm", move("head/weight", "head/linear", (3, 2), 0.1), None),
    Seeded("softmax over the batch", "lstm", set_attribute("readout/softmax", axis=0), None),
    Seeded("the table of the embedding", "bigru", move("encoder/table", "encoder/embedding", (), 0.1), 0),
    Seeded("reset before in place of after", "bigru", set_attribute("layer_0/gru", linear_before_reset=0), 0),
    Seeded("directions' weights exchanged", "bigru", naming("layer_1/gru", swap_directions), 0),
    Seeded("lengths dropped", "bigru", naming("layer_1/gru", drop_lengths("layer_1/gru")), 0, 2),
    Seeded("maximum for the mean", "bigru", set_operator("pooling/sum", "ReduceMax"), None, 2),
    Seeded("mask inverted", "rnn", set_operator("lengths/mask", "Greater"), None),
    Seeded("hard sigmoid in a body", "mgu", harden, 0),
    Seeded("weight of one gate in a body", "mgu", weight_of_candidate, 0, 2),
    Seeded("mask inverted in a body", "mgu", invert_mask, 0),
    Seeded("gates exchanged in a body", "peephole", exchange_gates, 0),
    Seeded("bias dropped before a loop", "peephole", drop_bias, 0),
    Seeded("weight of a peephole", "peephole", weight_of_peephole, 0),
]


@dataclass(frozen=True)
class Prepared:
    """A model, its good file and the expected outputs."""

    model: zoo.Model
    path: Path
    expectations: Expectations


@cache
def prepared(name: str) -> Prepared:
    """Return a model with its file; all faults of the model share it."""
    model = MODELS[name]()
    path = Path(tempfile.mkdtemp()) / "model.onnx"
    OnnxExporter().export(model, path, {}, zoo.ExportOptions(target="cuda" if name == "rnn" else "cpu"))
    tokens = model.encoder.tokens
    sample = np.random.default_rng(0).integers(tokens, size=(8, 12)) if tokens else draw(8, 12)
    cases = list(draw_cases(sample, Domain(tokens), with_lengths=model.takes_lengths, shapes=SHAPES))
    return Prepared(model, path, Expectations(model, cases))


def altered(fault: Seeded, folder: Path) -> tuple[Path, str]:
    """Write the file with a fault; return its path and the node that must be reported."""
    file = onnx.load(prepared(fault.model).path)
    node = fault.mutate(Graph(file))
    path = folder / "model.onnx"
    onnx.save(file, path)
    OnnxExporter().annotate(path, {})
    return path, node


def find(path: Path, model: str, folder: Path) -> dict[str, Any]:
    """Return the report of `zoo bisect` on a file of one of the models."""
    own = prepared(model)
    suspect = Suspect(path, own.model, OnnxExporter(), OnnxSession(path), own.expectations)
    return bisect(suspect, folder, lambda *_: None)


def main() -> None:
    """Print the table."""
    print("| fault | model | named | step | seconds | right |\n|---|---|---|---|---|---|")
    for fault in FAULTS:
        with tempfile.TemporaryDirectory() as name:
            path, node = altered(fault, Path(name))
            prepared(fault.model).expectations.at("float32")
            began = time.monotonic()
            report = find(path, fault.model, Path(name) / "bisect")
            seconds = time.monotonic() - began
        steps = f"{report['step']} of {report['case']['time']}" if report["step"] is not None else ""
        right = (report["node"], report["step"], report["case"]["time"]) == (node, fault.step, fault.steps)
        named = f"`{report['node']}`: {report['what']}"
        print(f"| {fault.fault} | {fault.model} | {named} | {steps} | {seconds:.1f} | {'yes' if right else 'no'} |")


if __name__ == "__main__":
    main()
