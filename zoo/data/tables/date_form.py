"""How dates are written, as plain values: a part of the signature, so without polars."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DateForm:
    """How the dates of a column are written."""

    format: str | None = None
    """The form in the terms of strptime, or the unit of an epoch: ``s``, ``ms``, ``us`` or ``ns``; None to recognise
    it."""
    zone: str | None = None
    """Name of the time zone of dates that are local times; None where they have an offset or no zone."""


RECOGNISED_FORM = DateForm()
"""The form is recognised, and there is no zone beside the offsets of cells."""
