"""Deliberate faults of an export, what finds each of them, and how often the rule cries wolf.

``python -m tests.proof.mutants`` prints the table of faults, and with ``--alarms 200`` that of correct models.
"""

from tests.proof.mutants.graph import Graph, blocks

__all__ = ["Graph", "blocks"]
