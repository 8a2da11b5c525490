"""Operations on padded batches of sequences with different lengths, time major."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_steps(lengths: Tensor, time: int) -> Tensor:
    """Return the mask (time, batch, 1) of the valid steps for lengths (batch,): true within each sequence."""
    return (torch.arange(time, device=lengths.device)[:, None] < lengths[None, :])[:, :, None]


def reverse_sequences(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse each sequence of x (time, batch, n) within its length; the padding after it keeps its place."""
    if lengths is None:
        return x.flip(0)
    steps = torch.arange(x.shape[0], device=x.device)[:, None]
    source = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return x.gather(0, source[:, :, None].expand_as(x))


def at_last_step(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Select the last valid step of each sequence of x (time, batch, n), giving (batch, n)."""
    return x[-1] if lengths is None else x[lengths - 1, torch.arange(lengths.shape[0], device=x.device)]
