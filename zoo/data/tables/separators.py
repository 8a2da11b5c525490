"""The separator of a CSV file, recognised from its first rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import islice

from zoo.errors import DataError

NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_ROWS = 100
"""Rows that are looked at."""


def separator_name(separator: str) -> str:
    """Return a separator as messages name it, in the plural."""
    return NAMES.get(separator, repr(separator))


def recognise_separator(source: str, head: str) -> str:
    """Return the separator of a CSV file: one that the first row contains, and every other row as often.

    Args:
        source: the file, for messages.
        head: its beginning, of whole lines.

    Raises:
        DataError: several separators fit.
    """
    widths = {separator: _widths(head, separator) for separator in NAMES}
    present = [separator for separator, counts in widths.items() if counts and counts[0] > 1]
    if len(present) < 2:
        return present[0] if present else ","
    fitting = [separator for separator in present if len(set(widths[separator])) == 1]
    if len(fitting) > 1:
        ways = " or ".join(f"{separator_name(mark)} ({widths[mark][0]} columns)" for mark in fitting)
        raise DataError(f"{source}:1: may be separated by {ways}; set data.separator")
    if fitting:
        return fitting[0]
    return max(present, key=lambda separator: widths[separator][0])


def _widths(head: str, separator: str) -> Sequence[int]:
    """Return how many cells each of the first rows has."""
    try:
        return [
            len(row) for row in islice(csv.reader(io.StringIO(head, newline="\n"), delimiter=separator), _ROWS) if row
        ]
    except csv.Error:
        return []
