"""How the cells of a text table are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the dialect of a dictionary that ``dataclasses.asdict`` made, also one read back from JSON.

        Args:
            values: the fields by name.

        Raises:
            TypeError: ``values`` is not such a dictionary.
        """
        marks = values["null_values"]
        return cls(**{**values, "null_values": None if marks is None else tuple(marks)})


RECOGNISED = Dialect()
"""Everything is recognised."""
