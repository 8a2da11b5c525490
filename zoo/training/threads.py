"""How many CPU threads a training uses.

A recurrent network is a long chain of small products, and a thread costs a barrier at each of them. On two cores a
step of forward and backward took, with two threads against one: 1.3 times as long at 0.8 MFLOP a time step (RNN 64,
batch 64), 1.1 times at 3 (LSTM 64), 0.9 at 8 (GRU 128), 0.74 at 10 and at 28 (LSTM 128, GRU 256), 0.6 at 142 (LSTM
512). While others used the cores too, two threads took three times as long or more at every size.
"""

from __future__ import annotations

import os

from zoo.nn.model import Model

FLOP_PER_THREAD = 5e6
"""Work of one time step that makes a further thread worth its barriers."""


def threads_for(model: Model, batch_size: int) -> int | None:
    """Threads for training ``model`` with batches of ``batch_size``; None where OMP_NUM_THREADS says it already.

    The same model and batch give the same number on the same machine, as a bit-identical resume needs.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return None
    cells = [cell for layer in model.layers() for cell in layer.directed_cells]
    # A product with n weights takes 2 * n operations for each row.
    work = 2 * batch_size * max(sum(parameter.numel() for parameter in cell.parameters()) for cell in cells)
    return max(1, min(os.cpu_count() or 1, int(work / FLOP_PER_THREAD)))
