"""Deliberate faults of an export and the check that finds each of them; correct models, and false alarms on them.

``python -m tests.proof.mutants`` prints the table of faults, and with ``--alarms 200`` that of correct models.
"""

from tests.proof.mutants.graph import Graph, blocks

__all__ = ["Graph", "blocks"]
