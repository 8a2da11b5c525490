"""Deliberate faults of an export, what finds each of them, and how often the rule cries wolf.

``python -m tests.mutants`` prints the table of faults, ``python -m tests.mutants --alarms 200`` that of correct models.
"""

from tests.mutants.graph import Graph, blocks

__all__ = ["Graph", "blocks"]
