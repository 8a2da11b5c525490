"""Operators that ONNX Runtime's CPU provider does not have for a type: computed in a wider one, between two casts.

ONNX allows more types than ONNX Runtime has kernels for: 1.31 has no Where of booleans, for one, and no Min of int16.
What is missing differs between its versions, so it is asked, with a model of the one node. What is cast back wraps
around as torch's own integers do.
"""

from __future__ import annotations

import onnx
import onnx_ir as ir
import onnxruntime as ort

from zoo_onnx.opset import ir_version
from zoo_onnx.piece import Piece

_Type = ir.DataType
WIDER = {
    _Type.BOOL: (_Type.UINT8, _Type.INT32),
    **dict.fromkeys((_Type.INT8, _Type.UINT8, _Type.INT16, _Type.UINT16), (_Type.INT32, _Type.INT64)),
    **dict.fromkeys((_Type.INT32, _Type.UINT32, _Type.UINT64), (_Type.INT64,)),
    **dict.fromkeys((_Type.FLOAT16, _Type.BFLOAT16), (_Type.FLOAT,)),
}
"""Types that hold every number of the first one, the narrowest first; of uint64 every bit."""


def compute_in_wider_types(piece: Piece, opset: int) -> None:
    """Put casts around those nodes of a piece whose kernels are missing."""
    for node in piece.nodes():
        if (wider := wider_type(node, opset)) is None:
            continue
        variable, kind = wider
        for place, value in enumerate(node.inputs):
            if value is not None and _variable_of_input(node, place, opset) == variable:
                node.replace_input_with(place, _cast(value, kind, f"{value.name}/for/{node.outputs[0].name}"))
        for place, value in enumerate(node.outputs):
            if _variable_of_output(node, place, opset) == variable and value.type is not None:
                narrow = _cast(value, value.type.dtype, f"{value.name}/narrow", uses=True)
                piece.outputs = [narrow if one is value else one for one in piece.outputs]
                value.type = ir.TensorType(kind)


def wider_type(node: ir.Node, opset: int) -> tuple[str, ir.DataType] | None:
    """The type variable of a node's operator that has to be another type, and which; None where it has its kernel.

    Args:
        node: its inputs and outputs have types.
        opset: the version of ONNX's operators.
    """
    if node.domain not in ("", "ai.onnx") or any(a.type == ir.AttributeType.GRAPH for a in node.attributes.values()):
        return None
    allowed = {one.type_param_str: one.allowed_type_strs for one in _schema(node, opset).type_constraints}
    kinds: dict[str, ir.DataType] = {}
    for place, value in enumerate(node.inputs):
        if value is not None and value.type is not None:
            kinds.setdefault(_variable_of_input(node, place, opset), value.type.dtype)
    candidates = [
        (variable, wider)
        for variable, kind in kinds.items()
        for wider in WIDER.get(kind, ())
        if f"tensor({_name(wider)})" in allowed.get(variable, ())
    ]
    if not candidates or _has_kernel(node, opset):
        return None
    return next((pair for pair in candidates if _has_kernel(node, opset, *pair)), None)


def _has_kernel(node: ir.Node, opset: int, variable: str | None = None, kind: ir.DataType | None = None) -> bool:
    """Whether ONNX Runtime takes a node, with a variable of its operator being of another type."""
    inputs, names = [], []
    for place, value in enumerate(node.inputs):
        if value is None:
            names.append("")
            continue
        own = None if value.type is None else value.type.dtype
        used = kind if variable is not None and _variable_of_input(node, place, opset) == variable else own
        names.append(f"in_{place}")
        inputs.append(onnx.helper.make_tensor_value_info(names[-1], int(used or _Type.FLOAT), None))
    proto = ir.to_proto(node)
    outputs = [f"out_{place}" for place in range(len(node.outputs))]
    proto.input[:], proto.output[:] = names, outputs
    graph = onnx.helper.make_graph([proto], "one", inputs, [onnx.ValueInfoProto(name=name) for name in outputs])
    version = onnx.helper.make_opsetid("", opset)
    model = onnx.helper.make_model(graph, opset_imports=[version], ir_version=ir_version(opset))
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors share no public base
        return "NOT_IMPLEMENTED" not in str(error)
    return True


def _cast(value: ir.Value, kind: ir.DataType, name: str, *, uses: bool = False) -> ir.Value:
    """A value in another type; with ``uses`` for everything that has read it so far."""
    result = ir.Value(name=name, type=ir.TensorType(kind), shape=value.shape)
    if uses:
        value.replace_all_uses_with(result)
    ir.node("Cast", [value], {"to": int(kind)}, outputs=[result])
    return result


def _schema(node: ir.Node, opset: int) -> onnx.defs.OpSchema:
    return onnx.defs.get_schema(node.op_type, opset)


def _variable_of_input(node: ir.Node, place: int, opset: int) -> str:
    formal = _schema(node, opset).inputs
    return formal[min(place, len(formal) - 1)].type_str


def _variable_of_output(node: ir.Node, place: int, opset: int) -> str:
    formal = _schema(node, opset).outputs
    return formal[min(place, len(formal) - 1)].type_str


def _name(kind: ir.DataType) -> str:
    """What ONNX's schemas call a type."""
    return {_Type.FLOAT: "float", _Type.DOUBLE: "double"}.get(kind, kind.name.lower())
