"""Resolution of float32: columns whose different values become equal in it. Needs NumPy only."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import to_float32

RESOLUTION = 1e-3
"""Largest rounding error of float32, in standard deviations of the column, that is no loss."""

_BLOCK = 2**20
"""Values that are compared at a time."""


class Lost(NamedTuple):
    """Loss of a column whose values float32 cannot distinguish."""

    different: int
    """Number of different values."""
    kept: int
    """Number of different values in float32."""
    offset: float
    """The smallest value: what to subtract in float64 before the values become float32."""

    def __str__(self) -> str:
        return f"{self.different:,} different values became {self.kept:,} in float32"


def lost_resolution(values: NDArray[Any]) -> Lost | None:
    """Return the loss of a column in float32, such as that of seconds since 1970; None where it keeps its resolution.

    float32 has 24 bits, so that its steps are 128 beside 1.7e9. Scaling in the graph cannot bring back what is lost
    before. The rounding error is compared with the spread of the column, since measurements that are equal to seven
    digits are no loss where the others differ by far more.

    Args:
        values: (n,) integers or float64; NaN and infinities are left out.
    """
    present = np.isfinite(values)
    finite = np.ascontiguousarray(values if present.all() else values[present], np.float64)
    narrow = to_float32(finite)
    if not len(finite) or not np.isfinite(narrow).all():
        return None
    blocks = (slice(start, start + _BLOCK) for start in range(0, len(finite), _BLOCK))
    error = max(float(np.abs(narrow[block].astype(np.float64) - finite[block]).max()) for block in blocks)
    if error <= RESOLUTION * float(finite.std()):
        return None
    different, kept = len(np.unique(finite)), len(np.unique(narrow))
    return Lost(different, kept, float(finite.min())) if kept < different else None
