"""Catalogue of all faults, and of the alterations that are no faults."""

from __future__ import annotations

from tests.proof.mutants import around, equivalents, lengths, operators, scans, states, weights

MUTANTS = [mutant for part in (weights, operators, scans, lengths, states, around) for mutant in part.MUTANTS]
"""Faults; each must be found."""

EQUIVALENT = equivalents.EQUIVALENT
"""Alterations that are no faults. Each must pass: so the faults above are found, and not the fact of an alteration."""
