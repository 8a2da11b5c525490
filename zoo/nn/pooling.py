"""How a sequence of outputs becomes one vector."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from zoo.nn.lengths import at_last_step, valid_steps

Pooling = Literal["last", "mean", "max", "last_step"]
"""What stands for the whole sequence.

- ``last``: what each direction knows after it has read everything: the forward output at the last step beside the
  reverse output at the first one.
- ``mean``, ``max``: over all valid steps.
- ``last_step``: the output at the last step, whatever the direction. The reverse half of it has read one step only:
  a common mistake, kept under its own name so that it can be shown.
"""


def pool(outputs: Tensor, last: Tensor, pooling: Pooling, lengths: Tensor | None = None) -> Tensor:
    """One vector for each sequence, (batch, features).

    Args:
        outputs: (time, batch, features), zero beyond each length.
        last: (batch, features), the output of each direction at the last step that it reads.
        pooling: see `Pooling`.
        lengths: (batch,) valid steps of each sequence; None where all are full.
    """
    if pooling == "last":
        return last
    if pooling == "last_step":
        return at_last_step(outputs, lengths)
    if lengths is None:
        return outputs.mean(0) if pooling == "mean" else outputs.amax(0)
    if pooling == "mean":
        return outputs.sum(0) / lengths[:, None].to(outputs.dtype)
    return outputs.masked_fill(~valid_steps(lengths, len(outputs)), float("-inf")).amax(0)
