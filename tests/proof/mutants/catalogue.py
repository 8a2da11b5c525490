"""Catalogue of all faults, and of the alterations that are no faults."""

from __future__ import annotations

from tests.proof.mutants import (
    around,
    batch,
    chunks,
    equivalents,
    exporter_faults,
    length_kinds,
    lengths,
    leniency,
    operators,
    ranges,
    repeats,
    scans,
    states,
    structural,
    time,
    vocabulary,
    weights,
)

PARTS = (
    *(weights, operators, scans, lengths, states, around),
    *(batch, time, chunks, length_kinds, ranges, vocabulary, repeats, structural, leniency, exporter_faults),
)
MUTANTS = [mutant for part in PARTS for mutant in part.MUTANTS]
"""Faults; each must be found."""

EQUIVALENT = equivalents.EQUIVALENT
"""Alterations that are no faults. Each must pass: so the faults above are found, and not the fact of an alteration."""
