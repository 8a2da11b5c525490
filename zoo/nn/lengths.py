"""Sequences of different lengths in one padded batch, time major."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_steps(lengths: Tensor, time: int) -> Tensor:
    """Lengths (batch,) -> boolean mask (time, batch, 1), true where a step belongs to its sequence."""
    return (torch.arange(time, device=lengths.device)[:, None] < lengths[None, :])[:, :, None]


def reverse_sequences(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn each sequence of x (time, batch, n) around within its length; the padding after it stays where it is."""
    if lengths is None:
        return x.flip(0)
    steps = torch.arange(x.shape[0], device=x.device)[:, None]
    source = torch.where(steps < lengths, lengths - 1 - steps, steps)
    return x.gather(0, source[:, :, None].expand_as(x))


def at_last_step(x: Tensor, lengths: Tensor | None) -> Tensor:
    """x (time, batch, n) -> (batch, n), at each sequence's last valid step."""
    return x[-1] if lengths is None else x[lengths - 1, torch.arange(len(lengths), device=x.device)]
