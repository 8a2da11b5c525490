"""The streaming file: its graph, its proof, and its use without torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import zoo
from tests.support.models import CLASSES, FEATURES, draw, make_model, sequences, write
from zoo.parity import judge
from zoo.proof.oracle import Oracle
from zoo.proof.streaming import CHUNKS, SHAPES, prove_streaming
from zoo.runtime.session import OnnxSession
from zoo.runtime.streaming import OnnxStream

KINDS = ("rnn_tanh", "lstm", "gru_after", "gru_before")
HIDDEN = 5


def stream_of(folder: Path, kind: str = "lstm", **options: Any) -> tuple[zoo.Model, OnnxStream]:
    model = make_model(kind, hidden_size=HIDDEN, **{"pooling": None, **options})
    return model, OnnxStream(OnnxSession(write(model, folder, streaming=True)))


def proof(model: zoo.Model, path: Path, sample: zoo.Split | None = None) -> dict[str, Any]:
    return prove_streaming(model, path, sample or sequences(draw(20, 8)), ["cpu"], [], lambda _: None)


# --- the file -------------------------------------------------------------------------------------------------------


def test_inputs_and_outputs(tmp_path: Path) -> None:
    """Everything is batch first; the metadata list the states to carry over, in the order of the inputs."""
    path = write(make_model("lstm", hidden_size=HIDDEN, num_layers=2, pooling=None), tmp_path, streaming=True)
    file = onnx.load(path)

    def described(values: Any) -> dict[str, list[str | int]]:
        return {
            value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
            for value in values
        }

    names = ["state_0_h", "state_0_c", "state_1_h", "state_1_c"]
    states: dict[str, list[str | int]] = {name: ["batch", HIDDEN] for name in names}
    steps: list[str | int] = ["batch", "time"]
    assert described(file.graph.input) == {"x": [*steps, FEATURES], **states}
    answers = {name: [*steps, CLASSES] for name in ("logits", "probabilities")}
    assert described(file.graph.output) == {**answers, **{f"next_{name}": shape for name, shape in states.items()}}
    (contract,) = [entry.value for entry in file.metadata_props if entry.key == "states"]
    assert json.loads(contract) == [
        {"input": name, "output": f"next_{name}", "shape": ["batch", HIDDEN], "dtype": "float32", "initial": 0}
        for name in names
    ]
    assert [node.op_type for node in file.graph.node if node.op_type in ("LSTM", "Scan", "Loop")] == ["LSTM"] * 2


def test_a_model_with_lengths_has_none_here(tmp_path: Path) -> None:
    path = write(make_model("gru_after", pooling=None, takes_lengths=True), tmp_path, streaming=True)
    graph = onnx.load(path).graph
    assert [value.name for value in graph.input] == ["x", "state_0_h"]
    assert not any("length" in node.name for node in graph.node)


# --- the proof ------------------------------------------------------------------------------------------------------


def test_chunks_and_shapes() -> None:
    assert CHUNKS == (1, 7, 200)
    assert SHAPES == ((1, 200), (5, 200))


@pytest.mark.parametrize(
    ("kind", "layers", "pooling"), [*((kind, 2, None) for kind in KINDS), ("lstm", 2, "last"), ("lstm", 1, "last_step")]
)
def test_streams_pass(kind: str, layers: int, pooling: str | None, tmp_path: Path) -> None:
    model = make_model(kind, num_layers=layers, pooling=pooling)
    report = proof(model, write(model, tmp_path, streaming=True))
    assert report["verdict"] == "passed", report["reasons"]
    listed = [case for case in report["cases"] if not case.get("drawn")]
    cases = [(case["batch"], case["time"], case["chunk"], case["inputs"]) for case in listed]
    long = [(*shape, chunk, inputs) for shape in SHAPES for inputs in ("data", "wide") for chunk in CHUNKS]
    own = [(3, 8, chunk, inputs) for inputs in ("data", "wide") for chunk in (1, 7, 8)]
    further = [(5, 200, 2, "data"), (5, 200, 3, "data"), (5, 200, 8, "data"), (3, 8, 2, "data"), (3, 8, 3, "data")]
    assert cases == [*long, *own, *further]


def test_a_stream_of_tokens_passes(tmp_path: Path) -> None:
    model = make_model("lstm", encoder=zoo.Embedding(6, 3, 0.0), pooling=None, takes_lengths=True)
    x = np.random.default_rng(0).integers(6, size=(20, 8))
    report = proof(model, write(model, tmp_path, streaming=True), sequences(x, [8] * 20))
    assert report["verdict"] == "passed", report["reasons"]


def layer(graph: onnx.GraphProto, number: int) -> onnx.NodeProto:
    """Return the recurrent node of a layer: X, W, R, B, sequence_lens, initial_h, initial_c -> Y, Y_h, Y_c."""
    node: onnx.NodeProto
    (node,) = [node for node in graph.node if node.name == f"layer_{number}/lstm"]
    return node


def exit_of(graph: onnx.GraphProto, state: str) -> onnx.NodeProto:
    node: onnx.NodeProto
    (node,) = [node for node in graph.node if list(node.output) == [f"next_{state}"]]
    return node


def stale(part: str) -> Callable[[onnx.GraphProto], None]:
    """Return the input state as the output state."""

    def make_stale(graph: onnx.GraphProto) -> None:
        node = exit_of(graph, f"state_1_{part}")
        node.op_type = "Identity"
        del node.input[:]
        node.input.append(f"state_1_{part}")

    return make_stale


def swapped_on_the_way_in(graph: onnx.GraphProto) -> None:
    node = layer(graph, 0)
    node.input[5], node.input[6] = node.input[6], node.input[5]


def swapped_on_the_way_out(graph: onnx.GraphProto) -> None:
    h, c = exit_of(graph, "state_0_h"), exit_of(graph, "state_0_c")
    h.input[0], c.input[0] = c.input[0], h.input[0]


def dropped(part: int) -> Callable[[onnx.GraphProto], None]:
    def drop(graph: onnx.GraphProto) -> None:
        layer(graph, 0).input[part] = ""

    return drop


def of_the_other_layer(graph: onnx.GraphProto) -> None:
    first, second = exit_of(graph, "state_0_h"), exit_of(graph, "state_1_h")
    first.input[0], second.input[0] = second.input[0], first.input[0]


FAULTS: dict[str, Callable[[onnx.GraphProto], None]] = {
    "stale h": stale("h"),
    "stale c": stale("c"),
    "h and c swapped on the way in": swapped_on_the_way_in,
    "h and c swapped on the way out": swapped_on_the_way_out,
    "initial h dropped": dropped(5),
    "initial c dropped": dropped(6),
    "states of the layers exchanged": of_the_other_layer,
}


@pytest.mark.parametrize(("fault", "pooling"), [*((fault, None) for fault in FAULTS), ("stale c", "last")])
def test_the_proof_finds(fault: str, pooling: str | None, tmp_path: Path) -> None:
    """In one chunk the file is right, so that only the states between chunks show the fault."""
    model = make_model("lstm", hidden_size=HIDDEN, num_layers=2, pooling=pooling)
    path = write(model, tmp_path, streaming=True)
    file = onnx.load(path)
    FAULTS[fault](file.graph)
    onnx.save(file, path)
    report = proof(model, path)
    assert report["verdict"] == "failed"
    assert " steps in chunks of " in report["reasons"][0]
    assert all(
        case["chunk"] < case["time"] for case in (out["worst_case"] for out in report["providers"][0]["outputs"])
    )
    assert min(output["over_budget"] for output in report["providers"][0]["outputs"]) > 100
    x = draw(3, 200)
    whole = OnnxStream(OnnxSession(path)).push(x)
    assert {result.status for result in judge(Oracle(model).expect(x), whole).values()} == {"passed"}


def test_another_model_fails(tmp_path: Path) -> None:
    path = write(make_model("gru_after", pooling=None, seed=2), tmp_path, streaming=True)
    assert proof(make_model("gru_after", pooling=None), path)["verdict"] == "failed"


# --- running it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_any_chunks_equal_the_whole_sequence(kind: str, tmp_path: Path) -> None:
    model, stream = stream_of(tmp_path, kind, num_layers=2)
    x = draw(2, 23)
    for starts in ([0], [0, 1, 2, 20], [0, 22], [0, 5, 10, 15, 20]):
        stream.reset()
        ends = [*starts[1:], 23]
        pieces = [stream.push(x[:, start:end])["logits"] for start, end in zip(starts, ends, strict=True)]
        actual = {"logits": np.concatenate(pieces, 1)}
        expected = {"logits": Oracle(model).expect(x)["logits"]}
        assert judge(expected, actual)["logits"].status == "passed", starts


def test_scores_after_each_chunk(tmp_path: Path) -> None:
    """A model that scores the sequence returns the scores of all steps so far."""
    model, stream = stream_of(tmp_path, pooling="last")
    x = draw(2, 9)
    for end in (3, 4, 9):
        actual = stream.push(x[:, {3: 0, 4: 3, 9: 4}[end] : end])
        assert {result.status for result in judge(Oracle(model).expect(x[:, :end]), actual).values()} == {"passed"}


def test_reset_forgets(tmp_path: Path) -> None:
    _, stream = stream_of(tmp_path)
    x = draw(2, 3)
    first, second = stream.push(x), stream.push(x)
    assert not np.array_equal(first["logits"], second["logits"])
    stream.reset()
    assert np.array_equal(first["logits"], stream.push(x)["logits"])
    stream.reset()
    assert stream.push(draw(5, 1))["logits"].shape == (5, 1, CLASSES)


def test_streams_do_not_share_their_states(tmp_path: Path) -> None:
    session = OnnxSession(write(make_model("lstm", pooling=None), tmp_path, streaming=True))
    stream, second = OnnxStream(session), OnnxStream(session)
    first = stream.push(draw(1, 4))
    stream.push(draw(1, 4, seed=1))
    assert np.array_equal(first["logits"], second.push(draw(1, 4))["logits"])


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((2, 3, 9), "takes (batch, time, 8), got (2, 3, 9); reshape the input"),
        ((3, 8), "takes (batch, time, 8), got (3, 8); reshape the input"),
        ((2, 0, 8), "needs at least one sequence and one step, got (2, 0, 8)"),
        ((0, 3, 8), "needs at least one sequence and one step, got (0, 3, 8)"),
        ((3, 1, 8), "carries the states of 2 sequences, got a chunk of 3; call reset() before other sequences"),
    ],
)
def test_chunks_that_do_not_fit(shape: tuple[int, ...], reason: str, tmp_path: Path) -> None:
    """They are refused, and the states stay unchanged."""
    _, stream = stream_of(tmp_path)
    _, undisturbed = stream_of(tmp_path)
    for each in (stream, undisturbed):
        each.push(draw(2, 3))
    with pytest.raises(zoo.DataError) as caught:
        stream.push(np.zeros(shape, np.float32))
    assert str(caught.value) == f"model.stream.onnx: {reason}"
    assert np.array_equal(stream.push(draw(2, 1))["logits"], undisturbed.push(draw(2, 1))["logits"])


def test_a_token_that_is_unknown_changes_nothing(tmp_path: Path) -> None:
    _, stream = stream_of(tmp_path, encoder=zoo.OneHot(4))
    stream.push(np.array([[1, 2]]))
    with pytest.raises(zoo.RunError, match="ONNX Runtime fails on"):
        stream.push(np.array([[3, 4]]))
    after = stream.push(np.array([[3]]))
    stream.reset()
    assert np.array_equal(after["logits"], stream.push(np.array([[1, 2, 3]]))["logits"][:, 2:])


@pytest.mark.parametrize(
    ("states", "reason"),
    [
        ("hello", "its metadata entry 'states' is malformed; export the run again"),
        ("[{}]", "its metadata entry 'states' is malformed; export the run again"),
        ("[]", "has inputs or outputs that differ from its metadata; export the run again"),
        (
            '[{"input": "a", "output": "b", "shape": ["batch", 5], "dtype": "float32", "initial": 0}]',
            "has inputs or outputs that differ from its metadata; export the run again",
        ),
    ],
)
def test_files_without_valid_states_in_their_metadata(states: str, reason: str, tmp_path: Path) -> None:
    path = write(make_model("lstm", pooling=None), tmp_path, streaming=True)
    file = onnx.load(path)
    for entry in file.metadata_props:
        if entry.key == "states":
            entry.value = states
    onnx.save(file, path)
    with pytest.raises(zoo.RunError) as caught:
        OnnxSession(path)
    assert str(caught.value) == f"{path}: {reason}"


def test_a_file_for_whole_sequences(tmp_path: Path) -> None:
    path = write(make_model("lstm"), tmp_path)
    with pytest.raises(zoo.RunError) as caught:
        OnnxStream(OnnxSession(path))
    assert str(caught.value) == (
        f"{path}: is for whole sequences, not for chunks; 'zoo export --onnx --streaming' writes one for chunks"
    )
