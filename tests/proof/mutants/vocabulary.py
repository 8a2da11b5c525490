"""Faults in rows of an embedding: of tokens that the data lacks, and of single tokens."""

from __future__ import annotations

import numpy as np

from tests.proof.mutants.graph import Graph
from tests.proof.mutants.mutant import Mutant, Mutation
from tests.proof.mutants.sizes import SIZES, WORDS
from tests.proof.mutants.subjects import COMMON

TABLE = "encoder/table"


def changed_rows(rows: slice | list[int], factor: float = -1.0, by: float = 0.0) -> Mutation:
    """Multiply rows of the embedding by a factor and add a number."""

    def change(graph: Graph) -> None:
        table = graph.weight(TABLE)
        table[rows] = table[rows] * np.float32(factor) + np.float32(by)
        graph.set(TABLE, table)

    return change


def exchanged_rows(first: int, second: int) -> Mutation:
    """Exchange two rows of the embedding."""

    def exchange(graph: Graph) -> None:
        table = graph.weight(TABLE)
        table[[first, second]] = table[[second, first]]
        graph.set(TABLE, table)

    return exchange


MODEL = "GRU of words"

MUTANTS = [
    Mutant("embeddings of all words that the data lacks negated", MODEL, changed_rows(slice(COMMON, WORDS))),
    Mutant("embedding of a drawn word negated", MODEL, changed_rows([SIZES.token])),
    Mutant("embedding of a drawn word off by 1e-2", MODEL, changed_rows([SIZES.token], 1.0, 1e-2)),
    Mutant("embedding of a drawn word zero", MODEL, changed_rows([SIZES.token], 0.0)),
    Mutant("embeddings of two rare words exchanged", MODEL, exchanged_rows(WORDS - 2, WORDS - 1)),
]
