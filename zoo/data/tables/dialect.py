"""How the cells of a text table are written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """How the cells of a CSV or TSV file are written; None where it is recognised. Other formats ignore it."""

    separator: str | None = None
    """The character between two cells."""
    decimal: str | None = None
    """The decimal mark of numbers: ``.`` or ``,``."""
    thousands: str | None = None
    """The mark between groups of three digits; empty for none."""
    encoding: str | None = None
    """Name of the encoding as Python knows it, such as ``cp1252``."""
    null_values: tuple[str, ...] | None = None
    """Cells that stand for a missing value, beside empty ones."""


RECOGNISED = Dialect()
"""Everything is recognised."""
