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
    metadata,
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
"""Alterations that are no faults. Each must pass by numbers: so the numbers find the faults above, and not the fact of
an alteration. The structure finds them, since a file is either what the exporter writes or it is not."""

WITHIN_ROUNDING = exporter_faults.WITHIN_ROUNDING
"""Faults of the exporter that no comparison of an exported file finds; each passes, and the table lists it."""

METADATA = metadata.MUTANTS
"""Faults of the metadata of a run's file; the comparison with a fresh export must find each of them."""
