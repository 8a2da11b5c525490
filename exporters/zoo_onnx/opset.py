"""Versions of ONNX's operators that can be written, limited by what the installed ONNX Runtime loads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import onnx
import onnxruntime as ort
from onnx import NodeProto, TensorProto, ValueInfoProto, helper

import zoo

OLDEST = 17
DEFAULT = 20
"""Newest opset that older ONNX Runtimes support fully on CUDA; 1.31 has every operator there up to its newest opset."""


@cache
def newest() -> int:
    """Return the newest opset that the installed ONNX Runtime loads, by trying each."""
    for opset in range(onnx.defs.onnx_opset_version(), OLDEST, -1):
        x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
        if load_error(helper.make_node("Relu", ["x"], ["y"]), [x], [y], opset) is None:
            return opset
    return OLDEST


def load_error(
    node: NodeProto, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto], opset: int
) -> str | None:
    """Return the error of ONNX Runtime's CPU provider when it loads a model of one node, or None if it loads."""
    graph = helper.make_graph([node], "probe", inputs, outputs)
    version = helper.make_opsetid("", opset)
    model = helper.make_model(graph, opset_imports=[version], ir_version=ir_version(opset))
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no public base
        return str(error)
    return None


def ir_version(opset: int) -> int:
    """Return the oldest IR version that may contain an opset, so that as many runtimes as possible read the file."""
    return helper.find_min_ir_version_for([helper.make_opsetid("", opset)])


def checked(opset: int | None) -> int:
    """Return the opset to write, the default for None.

    Raises:
        UsageError: if it is too old or too new.
    """
    if opset is None:
        return DEFAULT
    if not OLDEST <= opset <= newest():
        raise zoo.UsageError(
            f"opset {opset}: must be between {OLDEST} and {newest()}, the newest that this ONNX Runtime takes"
        )
    return opset
