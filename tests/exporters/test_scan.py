"""The lowerings ``scan`` and ``unrolled``: the nodes of a body, and agreement with the oracle."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import pytest

import zoo
from tests.exporters.agreement import assert_agrees
from tests.support.builders import covering
from tests.support.models import make_model, model_of, write
from tests.support.odd_cells import ODD_CELLS
from zoo_onnx import OnnxExporter
from zoo_onnx.opset import DEFAULT, newest

STEPS = 6


def body_of(graph: onnx.GraphProto) -> onnx.GraphProto:
    """Return the body of the only Scan."""
    (scan,) = [node for node in graph.node if node.op_type == "Scan"]
    body: onnx.GraphProto = next(attribute.g for attribute in scan.attribute if attribute.name == "body")
    return body


def operators(graph: onnx.GraphProto) -> Counter[str]:
    return Counter(node.op_type for node in graph.node)


# --- the body -------------------------------------------------------------------------------------------------------


def test_the_body_of_an_lstm_is_small(tmp_path: Path) -> None:
    """Each gate has a product of its own, which ONNX Runtime merges with the gate's activation."""
    graph = onnx.load(write(make_model("lstm", pooling=None), tmp_path, lowering="scan")).graph
    body = operators(body_of(graph))
    # The output of a step is also a state, and ONNX requires distinct outputs: hence the Identity.
    assert body == {"Gemm": 4, "Sigmoid": 3, "Tanh": 2, "Mul": 3, "Add": 1, "Identity": 1}
    graph = onnx.load(write(make_model("lstm", pooling="last"), tmp_path, lowering="scan")).graph
    assert operators(body_of(graph)) == body - Counter(["Identity"])  # only the final state is needed


def test_the_body_of_a_gru_is_small(tmp_path: Path) -> None:
    graph = onnx.load(write(make_model("gru_after", pooling="last"), tmp_path, lowering="scan")).graph
    assert operators(body_of(graph)) == {"Gemm": 3, "Sigmoid": 2, "Tanh": 1, "Mul": 2, "Add": 2, "Sub": 1}


@pytest.mark.parametrize("kind", ["rnn_tanh", "rnn_relu", "lstm", "gru_after", "gru_before"])
def test_lengths_cost_one_node_a_state(kind: str, tmp_path: Path) -> None:
    """A reverse direction needs no node that reverses a sequence."""
    bodies = []
    for takes_lengths in (False, True):
        model = make_model(kind, pooling="mean", direction="reverse", takes_lengths=takes_lengths)
        graph = onnx.load(write(model, tmp_path, lowering="scan")).graph
        reversing = [node.name for node in graph.node if node.op_type in ("ReverseSequence", "Slice", "Gather")]
        assert reversing == ["lengths/from_1_to_time"] * takes_lengths
        bodies.append(operators(body_of(graph)))
    without, with_lengths = bodies
    states = len(make_model(kind).state_parts())
    # A masked state is distinct from the output, so no Identity is needed.
    assert with_lengths == without - Counter(["Identity"]) + Counter(Where=states)


def test_weights_stand_once_under_their_names(tmp_path: Path) -> None:
    model = make_model("gru_before", num_layers=2, direction="bidirectional", hidden_size=8)
    graph = onnx.load(write(model, tmp_path, lowering="scan")).graph
    kept = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    weights = {f"stack.{name}": list(value.shape) for name, value in model.stack.named_parameters()}
    assert weights.items() <= kept.items()
    others = sum(onnx.numpy_helper.to_array(tensor).size for tensor in graph.initializer if tensor.name not in weights)
    assert others < 300  # the head, the normaliser, axes and sizes
    for scan in (node for node in graph.node if node.op_type == "Scan"):
        assert not next(attribute.g for attribute in scan.attribute if attribute.name == "body").initializer


def test_names_are_unique(tmp_path: Path) -> None:
    model = make_model("lstm", num_layers=2, direction="bidirectional", takes_lengths=True, pooling=None)
    graph = onnx.load(write(model, tmp_path, lowering="scan")).graph
    names: Counter[str] = Counter()
    graphs = [graph, *(attribute.g for node in graph.node for attribute in node.attribute if attribute.name == "body")]
    for subgraph in graphs:
        names.update(value.name for value in [*subgraph.input, *subgraph.initializer])
        names.update(output for node in subgraph.node for output in node.output if output)
    assert len(graphs) == 5
    assert names.most_common(1)[0][1] == 1


def test_inspect_lists_the_operators_of_a_body(tmp_path: Path) -> None:
    path = write(make_model("lstm", direction="bidirectional", pooling="last"), tmp_path, lowering="scan")
    notes = {name: note for name, operator, note in OnnxExporter().inspect(path).nodes if operator == "Scan"}
    body = "13 nodes a step: 4 Gemm, 3 Sigmoid, 3 Mul, 2 Tanh, Add"
    assert notes == {"layer_0/lstm/forward": f"forward, {body}", "layer_0/lstm/reverse": f"reverse, {body}"}


# --- unusual cells --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ODD_CELLS)
@pytest.mark.parametrize(("pooling", "takes_lengths"), [(None, True), ("last", False), ("last", True)])
def test_odd_cells(name: str, pooling: str | None, takes_lengths: bool, tmp_path: Path) -> None:
    model = odd_model(name, pooling, takes_lengths=takes_lengths)
    assert_agrees(model, write(model, tmp_path, lowering="scan"))


def odd_model(name: str, pooling: str | None, *, takes_lengths: bool) -> zoo.Model:
    """Return a bidirectional model of an odd cell."""
    return model_of(ODD_CELLS[name], direction="bidirectional", pooling=pooling, takes_lengths=takes_lengths)


# --- unrolled, and other opsets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "takes_lengths", "pooling"),
    covering(["lstm", "gru_before", "lstmp", "clockwork"], [False, True], [None, "last"]),
)
def test_unrolled(kind: str, takes_lengths: bool, pooling: str | None, tmp_path: Path) -> None:
    model = make_model(kind, direction="bidirectional", num_layers=2, takes_lengths=takes_lengths, pooling=pooling)
    path = write(model, tmp_path, lowering="unrolled", steps=STEPS)
    graph = onnx.load(path).graph
    assert not {"Scan", "Loop", "LSTM", "GRU", "RNN"} & set(operators(graph))
    assert graph.input[0].type.tensor_type.shape.dim[1].dim_value == STEPS
    assert_agrees(model, path, shapes=[(1, STEPS), (5, STEPS)])


@pytest.mark.parametrize("opset", range(18, newest() + 1))
@pytest.mark.parametrize("kind", ["layer_norm_lstm", "clockwork"])
def test_every_opset_from_18_on(kind: str, opset: int, tmp_path: Path) -> None:
    model = make_model(kind, direction="bidirectional", takes_lengths=True, pooling=None)
    path = write(model, tmp_path, opset, lowering="scan")
    assert [(entry.domain, entry.version) for entry in onnx.load(path).opset_import] == [("", opset)]
    assert_agrees(model, path)


def test_opset_17_has_no_scan(tmp_path: Path) -> None:
    assert DEFAULT >= 18
    with pytest.raises(zoo.UsageError, match="opset 17: a cell's own step needs 18 or newer; leave opset out"):
        write(make_model("mgu"), tmp_path, 17)
    assert not list(tmp_path.iterdir())
