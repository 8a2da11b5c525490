"""Which versions of ONNX's operators can be written."""

from __future__ import annotations

from functools import cache

import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

import zoo

OLDEST = 17
DEFAULT = 20
"""The newest one that older ONNX Runtimes take whole on CUDA; 1.31 has every operator there up to its newest opset."""


@cache
def newest() -> int:
    """The newest opset that the installed ONNX Runtime takes, found by asking it."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    for opset in range(onnx.defs.onnx_opset_version(), OLDEST, -1):
        value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
        graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "probe", value[:1], value[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version(opset))
        try:
            ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception:  # noqa: S112  (ONNX Runtime's errors share no public base; the next older one is tried)
            continue
        return opset
    return OLDEST


def ir_version(opset: int) -> int:
    """The oldest file format that may carry an opset: the more runtimes read the file, the better."""
    return helper.find_min_ir_version_for([helper.make_opsetid("", opset)])


def checked(opset: int | None) -> int:
    """The opset to write.

    Raises:
        UsageError: where it is too old or too new.
    """
    if opset is None:
        return DEFAULT
    if not OLDEST <= opset <= newest():
        raise zoo.UsageError(
            f"--opset {opset}: must be between {OLDEST} and {newest()}, the newest that this ONNX Runtime takes"
        )
    return opset
