"""Cells from the literature, written as in a plugin: `step` and mostly `project`, without `kernel` and `operator`.

Together they cover what `zoo.Cell` allows: several states of different widths, a state of integers, an overridden
initial state, an output narrower or wider than the state, a loop within a step, a cell without parameters.
"""

from __future__ import annotations

from collections.abc import Mapping

import zoo
from tests.cells.cfc import CfCCell
from tests.cells.cho_gru import ChoGRUCell
from tests.cells.cifg_lstm import CIFGLSTMCell
from tests.cells.clockwork import ClockworkCell
from tests.cells.elman import ElmanCell
from tests.cells.indrnn import IndRNNCell
from tests.cells.layer_norm_lstm import LayerNormLSTMCell
from tests.cells.learned_start import LearnedStartCell
from tests.cells.lstmp import LSTMPCell
from tests.cells.ltc import LTCCell
from tests.cells.mgu import MGUCell
from tests.cells.minimal_rnn import MinimalRNNCell
from tests.cells.peephole_lstm import PeepholeLSTMCell
from tests.cells.smoothing import SmoothingCell

CELLS: Mapping[str, type[zoo.Cell]] = {
    cell.name: cell
    for cell in (
        PeepholeLSTMCell,
        LSTMPCell,
        LayerNormLSTMCell,
        MGUCell,
        IndRNNCell,
        MinimalRNNCell,
        ChoGRUCell,
        CIFGLSTMCell,
        ClockworkCell,
        LTCCell,
        CfCCell,
        ElmanCell,
        SmoothingCell,
        LearnedStartCell,
    )
}
"""The cells by name. All their options except ``hidden_size`` have defaults."""
