"""Which lowering is the fastest, by measurement; the figures stand in exporters/README.md, under "How fast".

On the CPU (ONNX Runtime 1.31, one thread, hidden 128) the operators LSTM and GRU are as fast as a Scan or faster: twice
as fast at batch 1, by up to a quarter at batch 32. The operator RNN is not: with tanh a Scan takes 0.3 of its time at
batch 32 and 0.7 to 0.9 at batch 1; with ReLU 0.7 at batch 32, and 1.2 at batch 1, which is the smaller loss. A stream,
which is mostly one sequence and a few steps at a time, keeps the operator.

On CUDA nothing has been measured yet. What is known is which operators it does not take (zoo_onnx/placement.py): a GRU
with reset before and a ReLU RNN. These become a Scan there, in streams too: as operators they would run on the CPU, and
`zoo check --provider cuda` would fail. Whether that is faster, nobody has seen. Every other operator is kept.
"""

from __future__ import annotations

from dataclasses import replace

import zoo
from zoo_onnx import native
from zoo_onnx.placement import operator_reason

FASTER_AS_SCAN = frozenset({"RNN"})
"""The operators that a Scan outruns on the CPU."""


def prefers_scan(operator: zoo.Operator, options: zoo.ExportOptions) -> bool:
    """Whether ``auto`` writes a cell's own step in place of the operator that it equals."""
    if options.target == "cuda":
        return operator_reason(operator) is not None
    return not options.streaming and operator.name in FASTER_AS_SCAN


def for_precision(model: zoo.Model, options: zoo.ExportOptions) -> zoo.ExportOptions:
    """The options, of which ``auto`` means ``scan`` in int8 wherever the operator has no form in 8 bits."""
    if options.precision != "int8" or options.lowering != "auto":
        return options
    found = [native.operators_of(layer) for layer in model.layers()]
    kept = all(operators and operators[0].name == "LSTM" for operators in found)
    return options if kept else replace(options, lowering="scan")
