"""Cells as dates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DateForm:
    """How the dates of a column are written."""

    format: str | None = None
    """The form in the terms of strptime; None to recognise it."""
    zone: str | None = None
    """Name of the time zone of dates that are local times; None where they have an offset or no zone."""
