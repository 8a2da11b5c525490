"""The regular step of a time series, and the position of each row in steps."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Dates", "MisplacedRowError", "Step", "parse_step"]

Dates = NDArray[np.datetime64]
"""(rows,) dates as datetime64[us], strictly increasing."""

_MICROSECONDS = {"ms": 1000, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6, "w": 604800 * 10**6}
_UNITS = {
    "millisecond": "ms",
    "second": "s",
    "minute": "min",
    "hour": "h",
    "day": "d",
    "week": "w",
    **{unit: unit for unit in (*_MICROSECONDS, "business day")},
}


class MisplacedRowError(Exception):
    """The date of a row is not a whole number of steps after the first row; ``row`` counts from 0."""

    def __init__(self, row: int, fault: str) -> None:
        super().__init__(fault)
        self.row = row


@dataclass(frozen=True)
class Step:
    """The time from one row to the next."""

    count: int
    unit: str
    """A key of `_MICROSECONDS`, or ``business day``: Monday to Friday."""

    def slots(self, dates: Dates) -> NDArray[np.int64]:
        """Return for each row how many steps it comes after the first row, int64 (rows,).

        Raises:
            MisplacedRowError: a row lies between two steps, or is not on a business day.
        """
        if self.unit != "business day":
            distance = self.count * _MICROSECONDS[self.unit]
            offsets = (dates - dates[0]).astype(np.int64)
        else:
            distance = self.count
            days = dates.astype("datetime64[D]")
            _refuse(~np.is_busday(days), "is not a business day")
            _refuse(dates - days != dates[0] - days[0], "is not at the first row's time of day")
            offsets = np.busday_count(days[0], days).astype(np.int64)
        _refuse(offsets % distance != 0, "lies between two steps counted from the first row")
        slots: NDArray[np.int64] = offsets // distance
        return slots


def parse_step(text: str) -> Step:
    """Return the step that a text states, such as ``1h``, ``15 min``, ``day`` or ``2 business days``.

    Raises:
        ValueError: the text is not a count and a unit.
    """
    match = re.fullmatch(r"(\d{1,6})? *([a-z ]*[a-z])", text.strip().lower(), re.ASCII)
    if match:
        count, name = int(match[1] or 1), match[2]
        unit = _UNITS.get(name) or _UNITS.get(name.removesuffix("s"))
        if unit and count:
            return Step(count, unit)
    raise ValueError(f"must be a count and a unit: {', '.join((*_MICROSECONDS, 'business day'))}; such as 15min")


def _refuse(bad: NDArray[np.bool_], fault: str) -> None:
    if bad.any():
        raise MisplacedRowError(int(np.argmax(bad)), fault)
