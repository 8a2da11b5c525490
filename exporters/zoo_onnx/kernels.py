"""Operators without a kernel for a type in ONNX Runtime's CPU provider: computed in a wider type, between two casts.

ONNX allows more types than ONNX Runtime has kernels for: 1.31 has no Where of booleans and no Min of int16, for
example. The gaps differ between versions, so ONNX Runtime is asked to load a model of the one node. A result that is
cast back wraps around, as torch's own integers do.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import onnx_ir as ir

from zoo_onnx.opset import load_error
from zoo_onnx.piece import Piece

_Type = ir.DataType
WIDER = {
    _Type.BOOL: (_Type.UINT8, _Type.INT32),
    **dict.fromkeys((_Type.INT8, _Type.UINT8, _Type.INT16, _Type.UINT16), (_Type.INT32, _Type.INT64)),
    **dict.fromkeys((_Type.INT32, _Type.UINT32, _Type.UINT64), (_Type.INT64,)),
    **dict.fromkeys((_Type.FLOAT16, _Type.BFLOAT16), (_Type.FLOAT,)),
}
"""Types that represent every number of a type, the narrowest first; for uint64 every bit."""


def compute_in_wider_types(piece: Piece, opset: int) -> None:
    """Insert casts around the nodes of a piece that have no kernel for their type."""
    for node in piece.nodes():
        if (wider := wider_type(node, opset)) is None:
            continue
        variable, dtype = wider
        schema = _schema(node, opset)
        for index, value in enumerate(node.inputs):
            if value is not None and _variable(schema.inputs, index) == variable:
                node.replace_input_with(index, _cast(value, dtype, f"{value.name}/for/{node.outputs[0].name}"))
        for index, value in enumerate(node.outputs):
            if _variable(schema.outputs, index) == variable and value.type is not None:
                narrow = _cast(value, value.type.dtype, f"{value.name}/narrow", replace=True)
                piece.outputs = [narrow if output is value else output for output in piece.outputs]
                value.type = ir.TensorType(dtype)


def wider_type(node: ir.Node, opset: int) -> tuple[str, ir.DataType] | None:
    """Return the type variable of a node's operator to widen and the wider type; None if the node has a kernel.

    None as well if no wider type has a kernel either.

    Args:
        node: a node whose inputs and outputs have types.
        opset: version of ONNX's operators.
    """
    if node.domain not in ("", "ai.onnx") or any(a.type == ir.AttributeType.GRAPH for a in node.attributes.values()):
        return None
    schema = _schema(node, opset)
    allowed = {constraint.type_param_str: constraint.allowed_type_strs for constraint in schema.type_constraints}
    dtypes: dict[str, ir.DataType] = {}
    for index, value in enumerate(node.inputs):
        if value is not None and value.type is not None:
            dtypes.setdefault(_variable(schema.inputs, index), value.type.dtype)
    candidates = [
        (variable, wider)
        for variable, dtype in dtypes.items()
        for wider in WIDER.get(dtype, ())
        if f"tensor({_schema_name(wider)})" in allowed.get(variable, ())
    ]
    if not candidates or _has_kernel(node, opset):
        return None
    return next((candidate for candidate in candidates if _has_kernel(node, opset, *candidate)), None)


def _has_kernel(node: ir.Node, opset: int, variable: str | None = None, dtype: ir.DataType | None = None) -> bool:
    """Return whether ONNX Runtime has a kernel for a node, with another type for one of its type variables if given."""
    formal = _schema(node, opset).inputs
    inputs, names = [], []
    for index, value in enumerate(node.inputs):
        if value is None:
            names.append("")
            continue
        own = None if value.type is None else value.type.dtype
        used = dtype if variable is not None and _variable(formal, index) == variable else own
        names.append(f"in_{index}")
        inputs.append(onnx.helper.make_tensor_value_info(names[-1], int(used or _Type.FLOAT), None))
    proto = ir.to_proto(node)
    outputs = [f"out_{index}" for index in range(len(node.outputs))]
    proto.input[:], proto.output[:] = names, outputs
    error = load_error(proto, inputs, [onnx.ValueInfoProto(name=name) for name in outputs], opset)
    return error is None or "NOT_IMPLEMENTED" not in error


def _cast(value: ir.Value, dtype: ir.DataType, name: str, *, replace: bool = False) -> ir.Value:
    """Return a value cast to another type; with ``replace`` let its readers read the cast."""
    result = ir.Value(name=name, type=ir.TensorType(dtype), shape=value.shape)
    if replace:
        value.replace_all_uses_with(result)
    ir.node("Cast", [value], {"to": int(dtype)}, outputs=[result])
    return result


def _schema(node: ir.Node, opset: int) -> onnx.defs.OpSchema:
    return onnx.defs.get_schema(node.op_type, opset)


def _variable(formal: Sequence[onnx.defs.OpSchema.FormalParameter], index: int) -> str:
    """Return the type variable of an input or output; the last formal parameter may be variadic."""
    return formal[min(index, len(formal) - 1)].type_str


def _schema_name(dtype: ir.DataType) -> str:
    """Return the name of a type in ONNX's schemas."""
    return {_Type.FLOAT: "float", _Type.DOUBLE: "double"}.get(dtype, dtype.name.lower())
