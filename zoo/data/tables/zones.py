"""Local times of a zone as UTC: the hour that comes twice, and the hour that does not exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl


_DAY = np.timedelta64(1, "D")
_WRITE = "write offsets such as +01:00"


def local_to_utc(moments: pl.Series, zone: str, fault: Callable[[int, str], Exception]) -> pl.Series:
    """Return local times in UTC.

    In the hour that comes twice, when clocks are set back, the times of one day that stand together are resolved by
    their order: it steps back once, from the first to the second of the two hours.

    Args:
        moments: datetimes without a zone.
        zone: an IANA name such as ``Europe/Berlin``.
        fault: makes the error of a row and its text.

    Raises:
        fault: a time does not exist in the zone, or its order does not show which of two hours it is in.
    """
    import polars as pl

    def localise(which: str) -> pl.Series:
        local = moments.dt.replace_time_zone(zone, ambiguous=which, non_existent="null")  # type: ignore[arg-type]
        return local.dt.convert_time_zone("UTC").dt.replace_time_zone(None)

    early, late = localise("earliest"), localise("latest")
    if early.has_nulls():
        row = int(early.is_null().arg_max() or 0)
        raise fault(row, f"does not exist in {zone}, where clocks are set forward; correct it or data.zone")
    twice = (early != late).arg_true().to_numpy()
    if not len(twice):
        return early
    local = moments.to_numpy()
    sign = -1 if local[0] > local[-1] else 1  # newest first: the second hour comes before the first
    steps = sign * np.diff(local).astype(np.int64)
    second = np.zeros(len(local), bool)
    for rows in np.split(twice, np.flatnonzero((np.diff(twice) != 1) | (np.diff(local[twice]) > _DAY)) + 1):
        back = np.flatnonzero(steps[rows[:-1]] <= 0)
        if len(back) != 1:
            raise fault(
                int(rows[0]), f"comes twice in {zone}, and the order of the rows does not show which it is; {_WRITE}"
            )
        second[rows[back[0] + 1 :] if sign > 0 else rows[: back[0] + 1]] = True
    return late.zip_with(pl.Series(second), early)
