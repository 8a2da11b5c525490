"""Golden input and output of a model, which its exported file carries; see `zoo.runtime.golden`."""

from __future__ import annotations

import numpy as np

from zoo.data.dataset import Split
from zoo.nn.model import Model
from zoo.proof.domain import Domain
from zoo.proof.oracle import Oracle
from zoo.runtime.golden import Golden, golden_precision

SEQUENCES = 2
LONGEST = 8
"""Steps; longer sequences are cut, so that the size of a file does not grow with them."""


def golden(model: Model, sample: Split, steps: int | None = None, kept: str = "float32") -> Golden:
    """Return the first sequences of the data with the exact outputs for them.

    Args:
        model: the trained model, float32 on the CPU.
        sample: sequences from the data, in the user's units; without lengths for a file that takes none.
        steps: the number of steps that the file takes, where that is fixed; shorter sequences are repeated.
        kept: the format of the file's weights: float32, or a key of `zoo.parity.WEIGHT_FORMATS`.
    """
    x = sample.x[:SEQUENCES].numpy()
    width = steps or min(x.shape[1], LONGEST)
    x = np.ascontiguousarray(np.concatenate([x] * -(-width // x.shape[1]), 1)[:, :width])
    Domain.of(model).settle(x)
    lengths = None if sample.lengths is None else np.minimum(sample.lengths[:SEQUENCES].numpy(), width)
    return Golden(x, lengths, Oracle(model).expect(x, golden_precision(kept), lengths))
