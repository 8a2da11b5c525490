"""All of them: the faults, and what is none."""

from __future__ import annotations

from tests.proof.mutants import around, equivalents, lengths, operators, scans, states, weights

MUTANTS = [mutant for part in (weights, operators, scans, lengths, states, around) for mutant in part.MUTANTS]
"""Each is to be caught."""

EQUIVALENT = equivalents.EQUIVALENT
"""Each is to pass, so that it is the fault that is found above, and not that a file was touched."""
