"""Prediction of placement: which nodes of a file ONNX Runtime's CUDA provider runs, and which it leaves to the CPU.

Sources: the conditions on RNN, LSTM and GRU are those of the provider's GetCapability, at an older commit than the
release. They, and the operators without a kernel at some opset, were then tested with the provider of the wheel
onnxruntime-gpu 1.31.1, node by node at opsets 18 to 26 (2026-11-21). Stubs in place of CUDA's libraries let it start
and place nodes without a GPU, though not compute. Types other than float32 were tested only where a row states it. On a
GPU `zoo check` compares the actual placement with this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import onnx
import onnx_ir as ir

import zoo
from zoo_onnx.operators import ACTIVATIONS, GATES

_REPOSITORY = "https://github.com/microsoft/onnxruntime"
_SOURCE = f"{_REPOSITORY}/blob/main/onnxruntime/core"
_CAPABILITY = f"{_REPOSITORY}/blob/0018ddb6/onnxruntime/core/providers/cuda/cuda_execution_provider.cc"
_KERNELS = f"{_REPOSITORY}/blob/001d12d2/docs/OperatorKernels.md"
_SHAPES = f"{_SOURCE}/framework/fallback_cpu_capability.cc"


@dataclass(frozen=True)
class Rule:
    """Reason why the CUDA provider does not run a node."""

    operators: tuple[str, ...]
    condition: str
    """Short description, such as an attribute and its value."""
    applies: Callable[[ir.Node], bool]
    why: str
    source: str = _CAPABILITY
    provider: Literal["cpu", "refused"] = "cpu"


def _has(attribute: str) -> Callable[[ir.Node], bool]:
    return lambda node: attribute in node.attributes


def _other_activations(node: ir.Node) -> bool:
    """Return whether a node has activations other than the defaults, the only ones of cuDNN; case is ignored."""
    defaults = [name.lower() for name in ACTIVATIONS[node.op_type]]
    names = [name.lower() for name in node.attributes.get_strings("activations", [])]
    return any(name != defaults[index % len(defaults)] for index, name in enumerate(names))


def _has_peepholes(node: ir.Node) -> bool:
    return len(node.inputs) > 7 and node.inputs[7] is not None


_ALL = tuple(GATES)
RULES = (
    Rule(
        _ALL,
        "layout=1",
        lambda node: node.attributes.get_int("layout", 0) != 0,
        "no provider has batch-major operators; no session can be created",
        f"{_SOURCE}/providers/cuda/rnn/cudnn_rnn_base.h",
        "refused",
    ),
    Rule(
        ("GRU",),
        "linear_before_reset=0",
        lambda node: node.attributes.get_int("linear_before_reset", 0) != 1,
        "cuDNN's GRU resets after the product only",
    ),
    Rule(_ALL, "other activations", _other_activations, "cuDNN's kernels have the default activations only"),
    Rule(_ALL, "activation_alpha", _has("activation_alpha"), "cuDNN's activations have no parameters"),
    Rule(_ALL, "activation_beta", _has("activation_beta"), "cuDNN's activations have no parameters"),
    Rule(_ALL, "clip", _has("clip"), "ONNX Runtime does not let cuDNN clip"),
    Rule(
        ("LSTM",),
        "input_forget=1",
        lambda node: node.attributes.get_int("input_forget", 0) != 0,
        "cuDNN does not couple the input and the forget gate",
    ),
    Rule(("LSTM",), "peepholes", _has_peepholes, "cuDNN's LSTM has no peepholes"),
)
"""In the order of checking; the first that applies is reported."""

NEVER, FROM_22 = "never", "from opset 22 on"
NO_KERNEL = {
    **dict.fromkeys(("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cosh", "Sinh", "Tan"), NEVER),
    **dict.fromkeys(("Celu", "Hardmax", "Mean", "MeanVarianceNormalization"), NEVER),
    **dict.fromkeys(("DynamicQuantizeLinear", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul"), NEVER),
    "MatMulInteger": "not of uint8",  # the type of dynamically quantised activations
    "MatMulIntegerToFloat": NEVER,
    **dict.fromkeys(("Dropout", "Elu", "Selu", "ThresholdedRelu"), FROM_22),
}
"""Operators without a CUDA kernel, and the opsets concerned.

A kernel that is registered for one version of an operator, without an end, is not used for a later version:
https://github.com/microsoft/onnxruntime/issues/27729. In older ONNX Runtimes Loop, Scan, If and Identity had none from
opset 21 on: https://github.com/microsoft/onnxruntime/pull/27728 (2026).
"""

KERNELS = frozenset(
    """
    Abs Add And ArgMax Cast Ceil Clip Concat ConstantOfShape Cos CumSum DequantizeLinear Div Einsum Equal Erf Exp
    Expand Flatten Floor GRU Gather GatherElements Gelu Gemm GlobalAveragePool Greater GreaterOrEqual HardSigmoid
    HardSwish Identity If IsInf IsNaN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop
    LpNormalization MatMul Max Min Mish Mod Mul Neg NonZero Not OneHot Or PRelu Pad Pow QuantizeLinear
    RMSNormalization RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin
    ReduceProd ReduceSum ReduceSumSquare Relu Reshape ReverseSequence Round Scan Shape Shrink Sigmoid Sign Sin
    Size Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum Tanh Tile TopK Transpose Unsqueeze Where Xor
    """.split()  # noqa: SIM905  (a line for each name would be longer than the rest)
)
"""Operators with a CUDA kernel at every opset from 18 to 26 (Slice and Concat in the form of this exporter's files)."""

ON_HOST = {
    "Expand": (1,),
    "Reshape": (1,),
    "Range": (0, 1, 2),
    "ConstantOfShape": (0,),
    "Slice": (1, 2, 3, 4),
    "Tile": (1,),
}
"""Indices of inputs that CUDA's kernels read from host memory, so that computing them on the CPU needs no copy."""
SMALL = 100
"""Largest number of elements of a constant that counts as part of a shape computation."""


def node_reason(node: ir.Node, opset: int) -> Rule | None:
    """Return the rule that keeps a node off CUDA, whatever its neighbours; None if none is known."""
    for rule in RULES:
        if node.op_type in rule.operators and rule.applies(node):
            return rule
    lacking = NO_KERNEL.get(node.op_type)
    if lacking is None or (lacking == FROM_22 and _since(node, opset) < 22):
        return None
    return Rule((node.op_type,), lacking, lambda _: True, f"no CUDA kernel {lacking}", _KERNELS)


def predict(model: ir.Model) -> list[zoo.PredictedNode]:
    """Predict where each node of a file would run on CUDA, in execution order, loop bodies included."""
    opset = model.graph.opset_imports.get("", 0)
    return list(_predict(model.graph, opset, ""))


def _predict(graph: ir.Graph, opset: int, loop: str) -> Iterator[zoo.PredictedNode]:
    shapes = _shape_nodes(graph)
    for node in graph:
        yield _predicted(node, opset, loop, for_shape=node in shapes)
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                yield from _predict(attribute.as_graph(), opset, node.name or node.op_type)


def _predicted(node: ir.Node, opset: int, loop: str, *, for_shape: bool) -> zoo.PredictedNode:
    name, operator = node.name or "", node.op_type
    if rule := node_reason(node, opset):
        return zoo.PredictedNode(name, operator, rule.provider, f"{rule.condition}: {rule.why}", rule.source, loop)
    if for_shape:
        reason = "computes a shape, which ONNX Runtime keeps on the CPU to avoid copies"
        return zoo.PredictedNode(name, operator, "cpu", reason, _SHAPES, loop)
    if operator not in KERNELS:
        return zoo.PredictedNode(name, operator, "unknown", "not in the table of kernels", _KERNELS, loop)
    return zoo.PredictedNode(name, operator, "cuda", loop=loop)


def _shape_nodes(graph: ir.Graph) -> set[ir.Node]:
    """Return the nodes that compute with shapes alone.

    Their inputs are derived from Shape or Size, or are small constants or inputs of the graph. A node whose CUDA kernel
    reads such an input from host memory anyway is none of them.
    """
    on_host: set[ir.Value] = set()
    shape_nodes: set[ir.Node] = set()
    for node in graph:
        if node.op_type in ("Shape", "Size"):
            on_host.update(node.outputs)
            continue
        given = [(index, value) for index, value in enumerate(node.inputs) if value is not None]
        shapes = {index for index, value in given if value in on_host}
        others = [value for _, value in given if value not in on_host]
        read_on_host = not shapes.isdisjoint(ON_HOST.get(node.op_type, ()))
        if shapes and not read_on_host and all(value.is_graph_input() or _is_small(value) for value in others):
            shape_nodes.add(node)
            on_host.update(node.outputs)
    return shape_nodes


def _is_small(value: ir.Value) -> bool:
    return value.const_value is not None and value.const_value.size <= SMALL


def _since(node: ir.Node, opset: int) -> int:
    """Return the opset in which the node's operator last changed."""
    try:
        return int(onnx.defs.get_schema(node.op_type, opset, node.domain).since_version)
    except onnx.defs.SchemaError:
        return opset


def operator_reason(operator: zoo.Operator) -> Rule | None:
    """Return the rule that would keep an operator's node off CUDA, or None."""
    attributes: dict[str, int | float | str | Sequence[str]] = dict(operator.attributes)
    if operator.activations:
        attributes["activations"] = list(operator.activations)
    return node_reason(ir.node(operator.name, [], attributes), 20)
