"""Faults of a file that claims a property for itself, to be judged by a larger budget or at fewer shapes."""

from __future__ import annotations

from tests.proof.mutants.around import freeze
from tests.proof.mutants.graph import Graph
from tests.proof.mutants.mutant import Mutant, Mutation
from tests.proof.mutants.weights import move


def claiming(entries: dict[str, str], mutate: Mutation) -> Mutation:
    """Alter a file, and write entries into its metadata that excuse it."""

    def claim(graph: Graph) -> None:
        mutate(graph)
        for key, value in entries.items():
            graph.model.metadata_props.add(key=key, value=value)

    return claim


MUTANTS = [
    Mutant(
        f"one weight off by 1e-3, and {precision} claimed",
        subject,
        claiming({"precision": precision}, move(weight, 1e-3)),
    )
    for precision in ("bfloat16", "int8")
    for subject, weight in (("GRU, trained", "head/weight"), ("LSTM as Scan", "stack.layers.0.cells.0.h2h.weight"))
] + [
    Mutant(
        "time frozen at 8, and 8 steps claimed",
        "GRU, trained",
        claiming({"steps": "8"}, freeze(1, 8)),
        refusal="takes exactly 8 steps",
    ),
    Mutant(
        "time frozen at 8, and an unrolled graph claimed",
        "LSTM, trained",
        claiming({"steps": "8", "lowering": "unrolled"}, freeze(1, 8)),
        refusal="takes exactly 8 steps",
    ),
]
