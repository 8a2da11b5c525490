"""Windows over the rows of series as tensors, with persistence forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import zoo
from zoo.data.caching.mapped import trim
from zoo.data.preparation.seasons import season_before

__all__ = ["Rows", "copy_windows", "follow", "windows"]

_BLOCK = 1024
"""Windows that are copied at a time."""


@dataclass(frozen=True)
class Rows:
    """The rows of all series, one series after the other."""

    x: Tensor
    """(rows, features) float32."""
    y: Tensor
    """(rows, targets) float32, NaN where a target is missing."""
    before: Tensor
    """(rows, targets) float32: for each row the targets of the row before, the training mean where there is none."""
    starts: tuple[int, ...]
    """First row of each series."""
    window: int
    horizon: int
    season: int | None = None

    def last_rows(self, parts: Sequence[range]) -> NDArray[np.int64]:
        """Return the last row of every window whose target rows lie in a part and have targets, in order.

        Args:
            parts: the steps of the part in each series.
        """
        ahead = min(1, self.horizon)  # rows from the last of a window to its first target
        chosen = []
        for start, part in zip(self.starts, parts, strict=True):
            first = max(part.start - ahead, self.window - 1)
            last = part.stop - max(1, self.horizon) - ahead
            if part:
                chosen.append(np.arange(start + first, start + last + 1))
        rows: NDArray[np.int64] = np.concatenate(chosen)
        absent = self.y.isnan().any(1).numpy()
        if not absent.any():
            return rows
        counts = np.concatenate([[0], np.cumsum(absent)])  # missing rows before each row
        complete: NDArray[np.int64] = rows[counts[rows + ahead + max(1, self.horizon)] == counts[rows + ahead]]
        return complete


def follow(last: NDArray[np.int64]) -> bool:
    """Return whether windows follow each other without a gap, by the last row of each; they are then views."""
    return len(last) == int(last[-1]) - int(last[0]) + 1


def copy_windows(rows: Rows, last: NDArray[np.int64], result: NDArray[np.float32]) -> None:
    """Copy the inputs of windows into an array (windows, time, features)."""
    views = rows.x.unfold(0, rows.window, 1).transpose(1, 2)
    for start in range(0, len(last), _BLOCK):
        chosen = torch.from_numpy(last[start : start + _BLOCK] + 1 - rows.window)
        result[start : start + _BLOCK] = views[chosen].numpy()
        trim()


def windows(rows: Rows, last: NDArray[np.int64], copies: NDArray[np.float32] | None = None) -> zoo.Split:
    """Return windows with their targets; views of the rows where the windows follow each other.

    Args:
        rows: the rows of all series.
        last: last row of each window, at least one.
        copies: what `copy_windows` made; None to copy where that is needed.
    """
    window, horizon = rows.window, rows.horizon
    ahead = min(1, horizon)
    run = follow(last)

    def pick(values: Tensor, shift: int) -> Tensor:
        if run:
            return values[int(last[0]) + shift : int(last[-1]) + shift + 1]
        return values[torch.from_numpy(last + shift)]

    inputs = rows.x.unfold(0, window, 1).transpose(1, 2)
    x = pick(inputs, 1 - window) if copies is None else torch.from_numpy(copies)
    naive = pick(rows.before, ahead)
    if not horizon:
        return zoo.Split(x, pick(rows.y, 0), naive=naive, seasonal=_seasonal(rows, last))
    future = pick(rows.y.unfold(0, horizon, 1).transpose(1, 2), 1)
    naive = naive.unsqueeze(1).expand(-1, horizon, -1)
    return zoo.Split(x, future, naive=naive, seasonal=_seasonal(rows, last))


def _seasonal(rows: Rows, last: NDArray[np.int64]) -> Tensor | None:
    """Return the targets of the same place in the last season that is known, persistence where there is none before."""
    season = rows.season
    if season is None:
        return None
    ahead = min(1, rows.horizon)
    target_rows = last[:, None] + ahead + np.arange(max(1, rows.horizon))
    starts = np.array(rows.starts)
    first = starts[np.searchsorted(starts, last, "right") - 1][:, None]
    source, present = season_before(target_rows, first, season)
    values = rows.y[torch.from_numpy(source)]
    naive = rows.before[torch.from_numpy(last + ahead)][:, None]
    values = torch.where(torch.from_numpy(present)[..., None] & ~values.isnan(), values, naive)
    return values if rows.horizon else values[:, 0]
