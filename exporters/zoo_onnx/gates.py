"""Simplification of a step's body, between piece.py and loop.py: three rules that hold for any cell.

ONNX Runtime spends about half a microsecond on each node of a body at each step, so every node counts at batch 1. The
rules, applied until none matches:

- If the step's input, or a part of it, is added to a product with the state, it becomes the addend of the Gemm. The
  product's bias is added outside the loop, for all steps at once.
- If a product is split into gates, each gate gets a product of its own: the weight is split outside the loop instead.
  ONNX Runtime merges each product with the gate's activation (LSTM, batch 1: 10 nodes a step, not 12).
- If the step's input is split, it is split outside the loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from zoo_onnx.piece import Piece, split


@dataclass(eq=False)
class Projected:
    """Origin of an input: the output of `project`, (time, batch, n)."""


@dataclass(eq=False)
class Biased:
    """Origin of an input: another origin with a bias added."""

    of: Origin
    bias: ir.Value
    """Constant of the traced graph, (n,)."""


@dataclass(eq=False)
class Parts:
    """An origin, split along its features."""

    of: Origin
    sizes: tuple[int, ...]


@dataclass(eq=False)
class Part:
    """Origin of an input: one part of a split origin."""

    of: Parts
    index: int


Origin = Projected | Biased | Part
"""How an input of the body is computed outside the loop."""


@dataclass(eq=False)
class Body:
    """A step whose input may have been replaced by several inputs."""

    piece: Piece
    """Its inputs are those of the step, then the states."""
    origins: list[Origin] = field(default_factory=lambda: [Projected()])
    """Origin of each input."""

    @property
    def inputs(self) -> list[ir.Value]:
        """Inputs without the states."""
        return self.piece.inputs[: len(self.origins)]


def simplify(step: Piece) -> Body:
    """Apply the rules to a step, whose traced graph is changed, and return the body."""
    body = Body(step)
    while any(rule(body) for rule in (_input_into_product, _product_for_each_gate, _split_input_outside)):
        pass
    return body


def _input_into_product(body: Body) -> bool:
    """Rewrite x + Gemm(h, W, b) as Gemm(h, W, x + b), with the sum x + b outside the loop."""
    constants = body.piece.constants()
    for index, x in enumerate(body.inputs):
        add = _only_reader(body, x, "Add")
        if add is None:
            continue
        product = next((value for value in add.inputs if value is not x), None)
        gemm = _plain_gemm(product)
        if product is None or gemm is None or _only_reader(body, product, "Add") is not add:
            continue
        if not _has_batch_rows(product):  # the addend of a Gemm must not have more rows than the product
            continue
        bias = gemm.inputs[2] if len(gemm.inputs) > 2 else None
        plain_bias = bias is None or (body.piece.is_constant(bias, constants) and _rank(bias) == 1)
        if not plain_bias or not width(x) == width(product) == width(add.outputs[0]):
            continue
        if bias is not None:
            body.origins[index] = Biased(body.origins[index], bias)
        merged = _gemm(gemm, gemm.inputs[1], x, add.outputs[0], str(product.name))
        body.piece.replace_uses(add.outputs[0], merged)
        body.piece.detach(add)
        body.piece.detach(gemm)
        return True
    return False


def _product_for_each_gate(body: Body) -> bool:
    """Rewrite Split(Gemm(h, W, c)) as Gemm(h, W_1, c_1), Gemm(h, W_2, c_2), …."""
    constants = body.piece.constants()
    for node in body.piece.nodes():
        product = node.inputs[0] if _is_split_of_features(node) else None
        gemm = _plain_gemm(product)
        if product is None or gemm is None or _only_reader(body, product, "Split") is not node:
            continue
        weight, addend = gemm.inputs[1], gemm.inputs[2] if len(gemm.inputs) > 2 else None
        assert weight is not None
        if not body.piece.is_constant(weight, constants):
            continue
        sizes = tuple(width(value) for value in node.outputs)
        weights = split(weight, sizes, axis=0 if gemm.attributes.get_int("transB", 0) != 0 else 1)
        addends: list[ir.Value] | list[None]
        if addend is None:
            addends = [None] * len(sizes)
        elif body.piece.is_constant(addend, constants) and _rank(addend) == 1:
            addends = split(addend, sizes, axis=0)
        elif addend in body.inputs and _only_reader(body, addend, "Gemm") is gemm:
            addends = _split_outside(body, addend, sizes)
        else:
            continue
        gates = list(node.outputs)
        for number, (gate, part, c) in enumerate(zip(gates, weights, addends, strict=True)):
            body.piece.replace_uses(gate, _gemm(gemm, part, c, gate, f"{product.name}/{number}"))
        body.piece.detach(node)
        body.piece.detach(gemm)
        return True
    return False


def _split_input_outside(body: Body) -> bool:
    """Replace an input x that only a Split reads by one input for each part."""
    for x in body.inputs:
        node = _only_reader(body, x, "Split")
        if node is None or not _is_split_of_features(node):
            continue
        outputs = list(node.outputs)
        parts = _split_outside(body, x, tuple(width(value) for value in outputs))
        for old, new in zip(outputs, parts, strict=True):
            body.piece.replace_uses(old, new)
        body.piece.detach(node)
        return True
    return False


def _split_outside(body: Body, x: ir.Value, sizes: tuple[int, ...]) -> list[ir.Value]:
    """Replace an input of the body by its parts, which are split outside the loop, and return them."""
    index = body.inputs.index(x)
    parts = Parts(body.origins[index], sizes)
    shapes = [ir.Shape([None, size]) for size in sizes]
    values = [ir.Value(name=f"{x.name}_{number}", type=x.type, shape=shape) for number, shape in enumerate(shapes)]
    body.piece.inputs[index : index + 1] = values
    body.origins[index : index + 1] = [Part(parts, number) for number in range(len(sizes))]
    return values


def _only_reader(body: Body, value: ir.Value, operator: str) -> ir.Node | None:
    """Return the only node that reads a value if it is of the given operator, else None."""
    uses = value.uses()
    if len(uses) != 1 or value in body.piece.outputs:
        return None
    (use,) = uses
    return use.node if use.node.op_type == operator else None


def _plain_gemm(value: ir.Value | None) -> ir.Node | None:
    """Return the Gemm that computes a value, unless it scales or transposes its first input."""
    node = None if value is None else value.producer()
    if node is None or node.op_type != "Gemm" or node.attributes.get_int("transA", 0) != 0:
        return None
    factors = {node.attributes.get_float(name, 1.0) for name in ("alpha", "beta")}
    return node if factors == {1.0} else None


def _has_batch_rows(value: ir.Value) -> bool:
    """Return whether a value is (batch, n); a product of weights alone has a fixed number of rows."""
    return _rank(value) == 2 and value.shape is not None and not isinstance(value.shape[0], int)


def _is_split_of_features(node: ir.Node) -> bool:
    return node.op_type == "Split" and node.attributes.get_int("axis", 0) in (1, -1) and _rank(node.inputs[0]) == 2


def _gemm(like: ir.Node, weight: ir.Value | None, addend: ir.Value | None, old: ir.Value, name: str) -> ir.Value:
    """Add a Gemm with another weight and addend, and the type and shape of an old value; return its output."""
    value = ir.Value(name=name, type=old.type, shape=old.shape)
    transposed = {"transB": like.attributes.get_int("transB", 0)}
    ir.node("Gemm", [like.inputs[0], weight, *([] if addend is None else [addend])], transposed, outputs=[value])
    return value


def _rank(value: ir.Value | None) -> int | None:
    return None if value is None or value.shape is None else len(value.shape)


def width(value: ir.Value) -> int:
    """Return the size of the last axis, or -1 if it is unknown."""
    size = value.shape[-1] if value.shape else None
    return size if isinstance(size, int) else -1
