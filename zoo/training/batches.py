"""Batches of a split: their order in training and in evaluation."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from zoo.data.dataset import Split

POOL = 50
"""Number of batches whose sequences are sorted by length together: large enough for little padding in a batch, small
enough that the composition of a batch stays random."""


def training_order(split: Split, batch_size: int, generator: torch.Generator) -> Tensor:
    """Draw the order in which an epoch takes the rows of a split.

    If sequences differ in length, those of similar length share a batch, and the order of the batches is random.

    Args:
        split: the training data.
        batch_size: rows of one batch; the last batch may be smaller.
        generator: random numbers, on the CPU.

    Returns:
        (sequences,) row numbers; each ``batch_size`` consecutive ones are a batch.
    """
    order = torch.randperm(len(split), generator=generator)
    if split.lengths is None:
        return order
    lengths = split.lengths.cpu()
    pools = [pool[lengths[pool].argsort(stable=True)] for pool in order.split(POOL * batch_size)]
    batches = list(torch.cat(pools).split(batch_size))
    last = [batches.pop()] if len(batches[-1]) < batch_size else []
    shuffled = [batches[index] for index in torch.randperm(len(batches), generator=generator).tolist()]
    return torch.cat([*shuffled, *last])


def evaluation_batches(split: Split, batch_size: int) -> Iterator[tuple[Split, Tensor | slice]]:
    """Yield the split in batches, each with its row numbers; sequences of similar length share a batch."""
    if split.lengths is None:
        for start in range(0, len(split), batch_size):
            rows = slice(start, start + batch_size)
            yield split.take(rows), rows
        return
    for chosen in split.lengths.argsort(stable=True).split(batch_size):
        yield split.take(chosen), chosen
