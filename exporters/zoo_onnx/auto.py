"""Which lowering is the fastest, by measurement; the figures stand in exporters/README.md, under "How fast".

On the CPU (ONNX Runtime 1.31, one thread) the operators LSTM and GRU are as fast as a Scan or faster at every size
tried: by half at batch 1, by a little at batch 32. The operator RNN is not: a Scan takes 0.3 to 0.8 of its time from
batch 8 on, with tanh and with ReLU, and about as long at batch 1. A stream, which is mostly one sequence and a few
steps at a time, keeps the operator.

On CUDA nothing has been measured yet, so every operator is kept there.
"""

from __future__ import annotations

import zoo

FASTER_AS_SCAN = {"cpu": frozenset({"RNN"}), "cuda": frozenset[str]()}
"""For each provider the operators that a Scan outruns."""


def prefers_scan(operator: zoo.Operator, options: zoo.ExportOptions) -> bool:
    """Whether ``auto`` writes a cell's own step in place of the operator that it equals."""
    return not options.streaming and operator.name in FASTER_AS_SCAN[options.target]
