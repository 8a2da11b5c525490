"""In which order a part of the data is taken, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from zoo.data.dataset import Split

POOL = 50
"""Batches whose sequences are sorted by length together: enough that a batch holds hardly any padding, few enough that
what stands in one batch stays a matter of chance."""


def training_order(split: Split, batch_size: int, generator: torch.Generator) -> Tensor:
    """(sequences,): the rows in a random order; consecutive ones make a batch, and the last batch may be smaller.

    Where sequences have lengths, those of about the same length stand in one batch, and the batches follow each other
    at random.
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
    """The whole part in batches, each with its rows; those of about the same length together."""
    if split.lengths is None:
        for start in range(0, len(split), batch_size):
            rows = slice(start, start + batch_size)
            yield split.take(rows), rows
        return
    for chosen in split.lengths.argsort(stable=True).split(batch_size):
        yield split.take(chosen), chosen
