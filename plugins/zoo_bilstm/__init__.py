"""biLSTM: the LSTM cell run in both directions (Schuster and Paliwal 1997; Graves and Schmidhuber 2005)."""

from __future__ import annotations

from typing import ClassVar

import zoo
from zoo_lstm import LSTMCell

__all__ = ["BiLSTM", "zoo_register_layers"]


class BiLSTM(zoo.Layer):
    """One LSTM from the first step to the last, another from the last to the first, their outputs side by side."""

    name = "bilstm"
    cell = LSTMCell
    fixed_direction: ClassVar[zoo.Direction] = "bidirectional"


@zoo.hookimpl
def zoo_register_layers() -> list[type[zoo.Layer]]:
    return [BiLSTM]
