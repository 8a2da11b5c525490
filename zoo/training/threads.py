"""Number of CPU threads of a training.

A recurrent network is a long chain of small matrix products, and each further thread costs a barrier at each product.
Duration of a training step with two threads relative to one, on two cores, by the work of one time step:

| MFLOP | network (batch 64) | duration |
|---|---|---|
| 0.8 | RNN 64 | 1.3 |
| 3 | LSTM 64 | 1.1 |
| 8 | GRU 128 | 0.9 |
| 10, 28 | LSTM 128, GRU 256 | 0.74 |
| 142 | LSTM 512 | 0.6 |

While other processes used the cores too, two threads took three times as long or more at every size.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from zoo.nn.model import Model

FLOP_PER_THREAD = 5e6
"""Floating-point operations of one time step for which a further thread is faster in spite of its barriers."""


def threads_for(model: Model, batch_size: int) -> int | None:
    """Return the number of threads for training a model, or None if OMP_NUM_THREADS sets it.

    The number depends only on model, batch size and machine, since a resumed training must give the same bits.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return None
    cells = [cell for layer in model.layers() for cell in layer.directed_cells]
    # A product with n weights takes 2 * n floating-point operations for each row.
    work = 2 * batch_size * max(sum(parameter.numel() for parameter in cell.parameters()) for cell in cells)
    return max(1, min(os.cpu_count() or 1, int(work / FLOP_PER_THREAD)))


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Set torch's number of CPU threads while the block runs; None leaves it as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
