"""The lowering ``auto``: the fastest one by measurement; figures in exporters/README.md, "How fast".

CPU (ONNX Runtime 1.31, one thread, hidden 128): the operators LSTM and GRU are as fast as a Scan or faster, twice as
fast at batch 1 and by up to a quarter at batch 32. The operator RNN is slower: with tanh a Scan takes 0.3 of its time
at batch 32 and 0.7 to 0.9 at batch 1; with ReLU 0.7 at batch 32 and 1.2 at batch 1, the smaller loss. Streams keep the
operator, since a stream is mostly one sequence and a few steps at a time.

CUDA: not measured yet. Its provider has no GRU with reset before and no ReLU RNN (zoo_onnx/placement.py). These become
a Scan there, in streams too; as operators they would run on the CPU, and `zoo check --provider cuda` would fail. Every
other operator is kept.
"""

from __future__ import annotations

from dataclasses import replace

import zoo
from zoo_onnx import native
from zoo_onnx.placement import operator_reason

FASTER_AS_SCAN = frozenset({"RNN"})
"""Operators that are slower than a Scan on the CPU."""


def prefers_scan(operator: zoo.Operator, options: zoo.ExportOptions) -> bool:
    """Return whether ``auto`` writes a loop of the cell's own step instead of the operator that it equals."""
    if options.target == "cuda":
        return operator_reason(operator) is not None
    return not options.streaming and operator.name in FASTER_AS_SCAN


def for_precision(model: zoo.Model, options: zoo.ExportOptions) -> zoo.ExportOptions:
    """Return the options with ``scan`` for ``auto`` where int8 is requested and an operator has no 8-bit form."""
    if options.precision != "int8" or options.lowering != "auto":
        return options
    by_layer = [native.operators_of(layer) for layer in model.layers()]
    quantisable = all(operators and operators[0].name == "LSTM" for operators in by_layer)
    return options if quantisable else replace(options, lowering="scan")
