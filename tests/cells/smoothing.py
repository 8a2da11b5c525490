"""Exponential smoothing: a cell without parameters."""

from __future__ import annotations

from torch import Tensor

import zoo


class SmoothingCell(zoo.Cell):
    """Exponential smoothing (Brown 1956, "Exponential smoothing for predicting demand")::

        h' = share * x + (1 - share) * h

    The cell has no parameters and smooths each feature separately, so that ``hidden_size`` has no effect. It has
    neither a projection nor names for its state. State: (h,), (batch, input_size). Output: h'.
    """

    name = "smoothing"

    class Config(zoo.CellConfig):
        share: zoo.Fraction = 0.25
        """Weight of the new value."""

    def __init__(self, input_size: int, config: Config) -> None:
        super().__init__(input_size, state_sizes=(input_size,), output_size=input_size)
        self.share = config.share

    def step(self, x: Tensor, state: zoo.State) -> tuple[Tensor, zoo.State]:
        (h,) = state
        h = self.share * x + (1 - self.share) * h
        return h, (h,)
