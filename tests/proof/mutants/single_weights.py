"""Detection of single weights: many of each part of a file, each moved by 1e-4, one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import onnx

from tests.proof.mutants.graph import Graph
from tests.proof.mutants.mutant import Mutant
from tests.proof.mutants.subjects import Bench
from tests.proof.mutants.trial import TOLERANCES, try_mutant
from tests.proof.mutants.weights import move


class Part(NamedTuple):
    """A weight tensor of a file."""

    name: str
    subject: str
    weight: str
    """Name of its initialiser in the file."""


PARTS = [
    Part("head", "GRU, trained", "head/weight"),
    Part("input weights", "GRU, trained", "layer_0/gru/W"),
    Part("recurrent weights", "GRU, trained", "layer_0/gru/R"),
    Part("biases", "GRU, trained", "layer_0/gru/B"),
    Part("head", "LSTM, trained", "head/weight"),
    Part("input weights", "LSTM, trained", "layer_2/lstm/W"),
    Part("recurrent weights", "LSTM, trained", "layer_2/lstm/R"),
    Part("biases", "LSTM, trained", "layer_2/lstm/B"),
    Part("head", "LSTM as Scan", "head/weight"),
    Part("input weights", "LSTM as Scan", "stack.layers.1.cells.0.x2h.weight"),
    Part("recurrent weights", "LSTM as Scan", "stack.layers.1.cells.0.h2h.weight"),
    Part("biases", "LSTM as Scan", "stack.layers.1.cells.0.x2h.bias"),
    Part("recurrent weights", "MGU as Scan, states", "stack.layers.0.cells.0.candidate.weight"),
]


def count_detected(part: Part, bench: Bench, number: int) -> Mapping[str, int]:
    """Count how many of ``number`` weights, drawn without repetition, the rule, the structure and each fixed tolerance
    detect."""
    size = Graph(onnx.load(bench.path)).weight(part.weight).size
    places = np.random.default_rng(0).choice(size, number, replace=False)
    trials = [try_mutant(Mutant(part.name, part.subject, move(part.weight, 1e-4, int(at))), bench) for at in places]
    return {
        "rule": sum(trial.caught_by == "numbers" for trial in trials),
        "structure": sum(bool(trial.structure) for trial in trials),
        **{str(atol): sum(trial.fixed[atol] for trial in trials) for atol in TOLERANCES},
    }
