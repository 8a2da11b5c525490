"""Pooling: one vector for a whole sequence of outputs."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from zoo.nn.lengths import at_last_step, valid_steps

Pooling = Literal["last", "mean", "max", "last_step"]
"""Rule that reduces the outputs of a sequence to one vector.

- ``last``: the final output of each direction: the forward output at the last step beside the reverse output at the
  first step.
- ``mean``, ``max``: over all valid steps.
- ``last_step``: the output at the last step in both directions. Its reverse half has read one step only: a common
  mistake, available under its own name for comparison.
"""


def pool(outputs: Tensor, last: Tensor, pooling: Pooling, lengths: Tensor | None = None) -> Tensor:
    """Reduce the outputs of each sequence to one vector.

    Args:
        outputs: (time, batch, features), zero beyond each length.
        last: (batch, features), the output of each direction at the last valid step that it reads.
        pooling: the rule; see `Pooling`.
        lengths: (batch,) valid steps of each sequence; None if all sequences are full.

    Returns:
        (batch, features)
    """
    if pooling == "last":
        return last
    if pooling == "last_step":
        return at_last_step(outputs, lengths)
    if lengths is None:
        return outputs.mean(0) if pooling == "mean" else outputs.amax(0)
    if pooling == "mean":
        return outputs.sum(0) / lengths[:, None].to(outputs.dtype)
    return outputs.masked_fill(~valid_steps(lengths, outputs.shape[0]), float("-inf")).amax(0)
