"""A step's body made smaller, by rules that hold for any cell.

ONNX Runtime spends about half a microsecond on each node of a body at each step, so every node counts at batch 1. Three
rules, applied as long as one fits:

- Where the step's input, or a part of it, is added to a product with the state, it becomes the product's own addend;
  the product's bias is added outside, for all steps at once.
- Where a product is split into gates, each gate gets a product of its own: the weight is split instead, outside, and
  ONNX Runtime merges each product with the gate's activation (LSTM, batch 1: 12 nodes a step become 10).
- Where the step's input is split, it is split outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from zoo_onnx.piece import Piece, short_name


@dataclass(eq=False)
class Projected:
    """What `project` gives, (time, batch, n)."""


@dataclass(eq=False)
class Biased:
    """The same with a bias added."""

    of: Origin
    bias: ir.Value
    """(n,), a constant of the traced graph."""


@dataclass(eq=False)
class Parts:
    """The same split into parts of its features."""

    of: Origin
    sizes: tuple[int, ...]


@dataclass(eq=False)
class Part:
    """One of these parts."""

    of: Parts
    index: int


Origin = Projected | Biased | Part
"""How an input of the body is made outside of it."""


@dataclass(eq=False)
class Body:
    """A step whose input may have become several.

    Its ``piece`` has the inputs first, then the state.
    """

    piece: Piece
    origins: list[Origin] = field(default_factory=lambda: [Projected()])
    """Of each input."""

    @property
    def inputs(self) -> list[ir.Value]:
        return self.piece.inputs[: len(self.origins)]

    def replace_input(self, index: int, values: list[ir.Value], origins: list[Origin]) -> None:
        """Put other inputs, made otherwise, into the place of one."""
        self.piece.inputs[index : index + 1] = values
        self.origins[index : index + 1] = origins


def simplify(step: Piece) -> Body:
    """Apply the rules. The traced graph of the step is changed."""
    body = Body(step)
    while any(rule(body) for rule in (_input_into_product, _product_for_each_gate, _split_input_outside)):
        pass
    return body


def _input_into_product(body: Body) -> bool:
    """x + Gemm(h, W, b) -> Gemm(h, W, x + b)"""
    constants = body.piece.constants()
    for index, x in enumerate(body.inputs):
        add = _only_reader(body, x, "Add")
        if add is None:
            continue
        product = next((value for value in add.inputs if value is not x), None)
        gemm = _plain_gemm(product)
        if product is None or gemm is None or _only_reader(body, product, "Add") is not add:
            continue
        if not _has_a_row_for_each_sequence(product):  # its addend may have no more rows than it has itself
            continue
        bias = gemm.inputs[2] if len(gemm.inputs) > 2 else None
        plain_bias = bias is None or (body.piece.is_constant(bias, constants) and _rank(bias) == 1)
        if not plain_bias or not width(x) == width(product) == width(add.outputs[0]):
            continue
        if bias is not None:
            body.origins[index] = Biased(body.origins[index], bias)
        merged = _gemm(gemm, gemm.inputs[1], x, add.outputs[0], str(product.name))
        body.piece.replace_uses(add.outputs[0], merged)
        body.piece.take_out(add)
        body.piece.take_out(gemm)
        return True
    return False


def _product_for_each_gate(body: Body) -> bool:
    """Split(Gemm(h, W, c)) -> Gemm(h, W_1, c_1), Gemm(h, W_2, c_2), …"""
    constants = body.piece.constants()
    for split in body.piece.nodes():
        product = split.inputs[0] if _is_split_of_features(split) else None
        gemm = _plain_gemm(product)
        if product is None or gemm is None or _only_reader(body, product, "Split") is not split:
            continue
        weight, addend = gemm.inputs[1], gemm.inputs[2] if len(gemm.inputs) > 2 else None
        assert weight is not None
        if not body.piece.is_constant(weight, constants):
            continue
        sizes = tuple(width(value) for value in split.outputs)
        weights = _split(weight, sizes, axis=0 if _number(gemm, "transB") else 1)
        addends: list[ir.Value] | list[None]
        if addend is None:
            addends = [None] * len(sizes)
        elif body.piece.is_constant(addend, constants) and _rank(addend) == 1:
            addends = _split(addend, sizes, axis=0)
        elif addend in body.inputs and _only_reader(body, addend, "Gemm") is gemm:
            addends = _split_outside(body, addend, sizes)
        else:
            continue
        gates = list(split.outputs)
        for number, (gate, part, c) in enumerate(zip(gates, weights, addends, strict=True)):
            body.piece.replace_uses(gate, _gemm(gemm, part, c, gate, f"{product.name}/{number}"))
        body.piece.take_out(split)
        body.piece.take_out(gemm)
        return True
    return False


def _split_input_outside(body: Body) -> bool:
    """Split(x) -> as many inputs"""
    for x in body.inputs:
        split = _only_reader(body, x, "Split")
        if split is None or not _is_split_of_features(split):
            continue
        outputs = list(split.outputs)
        parts = _split_outside(body, x, tuple(width(value) for value in outputs))
        for old, new in zip(outputs, parts, strict=True):
            body.piece.replace_uses(old, new)
        body.piece.take_out(split)
        return True
    return False


def _split_outside(body: Body, x: ir.Value, sizes: tuple[int, ...]) -> list[ir.Value]:
    """Make an input of the body into several."""
    index = body.inputs.index(x)
    parts = Parts(body.origins[index], sizes)
    shapes = [ir.Shape([None, size]) for size in sizes]
    values = [ir.Value(name=f"{x.name}_{number}", type=x.type, shape=shape) for number, shape in enumerate(shapes)]
    body.replace_input(index, values, [Part(parts, number) for number in range(len(sizes))])
    return values


def _only_reader(body: Body, value: ir.Value, operator: str) -> ir.Node | None:
    """The one node that reads a value, where there is no other and it is of a kind."""
    uses = value.uses()
    if len(uses) != 1 or value in body.piece.outputs:
        return None
    (use,) = uses
    return use.node if use.node.op_type == operator else None


def _plain_gemm(value: ir.Value | None) -> ir.Node | None:
    """The product that a value is, where nothing is scaled or turned on the way."""
    node = None if value is None else value.producer()
    if node is None or node.op_type != "Gemm" or _number(node, "transA"):
        return None
    factors = {node.attributes.get_float(name, 1.0) for name in ("alpha", "beta")}
    return node if factors == {1.0} else None


def _has_a_row_for_each_sequence(value: ir.Value) -> bool:
    """Whether a value is (batch, n), rather than of a fixed number of rows, as what is made of weights alone is."""
    return _rank(value) == 2 and value.shape is not None and not isinstance(value.shape[0], int)


def _is_split_of_features(node: ir.Node) -> bool:
    return node.op_type == "Split" and _number(node, "axis") in (1, -1) and _rank(node.inputs[0]) == 2


def _gemm(like: ir.Node, weight: ir.Value | None, addend: ir.Value | None, old: ir.Value, name: str) -> ir.Value:
    """A product like another one, with another weight and addend, in place of an old value."""
    value = ir.Value(name=name, type=old.type, shape=old.shape)
    transposed = {"transB": _number(like, "transB")}
    ir.node("Gemm", [like.inputs[0], weight, *([] if addend is None else [addend])], transposed, outputs=[value])
    return value


def _split(value: ir.Value, sizes: tuple[int, ...], axis: int) -> list[ir.Value]:
    """A constant in parts."""
    name = short_name(value)
    lengths = ir.Value(name=f"{name}/sizes", const_value=ir.tensor(np.array(sizes, np.int64)))
    outputs = []
    for number, size in enumerate(sizes):
        shape = list(value.shape or ())
        shape[axis] = size
        outputs.append(ir.Value(name=f"{name}/{number}", type=value.type, shape=ir.Shape(shape)))
    ir.node("Split", [value, lengths], {"axis": axis}, outputs=outputs)
    return outputs


def _number(node: ir.Node, name: str) -> int:
    """An attribute that is 0 where it is left out."""
    attribute = node.attributes.get(name)
    return 0 if attribute is None else attribute.as_int()


def _rank(value: ir.Value | None) -> int | None:
    return None if value is None or value.shape is None else len(value.shape)


def width(value: ir.Value) -> int:
    """The size of the last axis; -1 where it is not known."""
    size = value.shape[-1] if value.shape else None
    return size if isinstance(size, int) else -1
