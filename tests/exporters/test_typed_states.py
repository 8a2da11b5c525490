"""States of every type: with lengths, as inputs and outputs, in a Scan, unrolled and in a stream."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.exporters.typed_cells import TYPED_CELLS
from tests.support.models import draw, model_of, write
from zoo.proof.cases import draw_cases, with_states
from zoo.proof.expectations import Expectations
from zoo.proof.prove import FileProperties, prove_against
from zoo.runtime.session import OnnxSession
from zoo.runtime.streaming import OnnxStream
from zoo_onnx.kernels import compute_in_wider_types, wider_type
from zoo_onnx.opset import DEFAULT
from zoo_onnx.piece import Piece


@pytest.mark.parametrize(("dtype", "lowering"), [*((dtype, "scan") for dtype in TYPED_CELLS), ("bool", "unrolled")])
def test_states_of_every_type(dtype: str, lowering: str, tmp_path: Path) -> None:
    """Files pass with lengths, from initial and random states, and return the states in their own type."""
    steps = 6 if lowering == "unrolled" else None
    model = model_of(TYPED_CELLS[dtype], takes_lengths=True)
    path = write(model, tmp_path, lowering=lowering, states=True, steps=steps)
    shapes = ((1, steps or 1), (5, steps or 9))
    cases = list(with_states(model, list(draw_cases(draw(20, 8), with_lengths=True, shapes=shapes))))
    made = FileProperties(lowering, steps, states=True)
    report = prove_against(Expectations(model, cases), path, made, ["cpu"], [])
    assert report["verdict"] == "passed", report["reasons"]
    answers = OnnxSession(path).run(draw(2, 6), np.array([6, 2]))
    # The flag goes 1, 0, …; the counter 1, 2, 3, 0, …: after six steps and after two.
    expected = [[0, 0], [0, 0]] if dtype == "bool" else [[2, 2], [2, 2]]
    assert answers["next_state_0_n"].dtype == dtype
    assert answers["next_state_0_n"].tolist() == expected


@pytest.mark.parametrize("dtype", ["bool", "int8"])
def test_a_stream_carries_typed_states(dtype: str, tmp_path: Path) -> None:
    model = model_of(TYPED_CELLS[dtype], pooling=None)
    session, x = OnnxSession(write(model, tmp_path, streaming=True), threads=1), draw(2, 7)
    stream = OnnxStream(session)
    pieces = [stream.push(x[:, start : start + 3])["logits"] for start in (0, 3, 6)]
    assert np.array_equal(np.concatenate(pieces, 1), session.run(x)["logits"])


def node(operator: str, kinds: list[ir.DataType], kind: ir.DataType) -> ir.Node:
    inputs = [ir.Value(name=f"input_{place}", type=ir.TensorType(dtype)) for place, dtype in enumerate(kinds)]
    return ir.node(operator, inputs, outputs=[ir.Value(name="output", type=ir.TensorType(kind))])


def test_only_missing_kernels_are_replaced() -> None:
    """The condition of a Where stays boolean; operators with a kernel are unchanged, as are those without any."""
    kind = ir.DataType
    where = node("Where", [kind.BOOL, kind.BOOL, kind.BOOL], kind.BOOL)
    assert wider_type(where, DEFAULT) == ("T", kind.UINT8)
    assert wider_type(node("Where", [kind.BOOL, kind.FLOAT, kind.FLOAT], kind.FLOAT), DEFAULT) is None
    assert wider_type(node("And", [kind.BOOL, kind.BOOL], kind.BOOL), DEFAULT) is None
    assert wider_type(node("Add", [kind.INT64, kind.INT64], kind.INT64), DEFAULT) is None
    piece = Piece(list(where.inputs), list(where.outputs))  # type: ignore[arg-type]
    compute_in_wider_types(piece, DEFAULT)
    made = piece.nodes()
    assert [inner.op_type for inner in made] == ["Cast", "Cast", "Where", "Cast"]
    assert made[2].inputs[0] is piece.inputs[0]
    assert made[3].attributes["to"].as_int() == onnx.TensorProto.BOOL
