"""Exported models with lengths, with tokens, and with other heads and readouts: agreement with the model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import numpy_helper
from torch import nn

import zoo
from tests.exporters.agreement import assert_agrees
from tests.support.builders import DIRECTIONS, covering
from tests.support.models import CLASSES, FEATURES, draw, make_model, sequences, write
from zoo.parity import Array, judge
from zoo.proof.oracle import Oracle
from zoo.proof.prove import prove
from zoo.proof.streaming import prove_streaming
from zoo.runtime.session import OnnxSession

KINDS = ("rnn_tanh", "lstm", "gru_after", "gru_before")
POOLINGS = ("last", "mean", "max", "last_step", None)
TOKENS = 6
LENGTHS = [5, 1, 7, 4, 7, 2]
IMPOSSIBLE = (0, -1, -7, -8, 8, 15, 2**32 + 3, 2**40, -(2**32) + 3, 2**63 - 1, -(2**63))
"""Invalid lengths of seven steps: 0, indices from the end, too many, and numbers that wrap to 1 to 7 in 32 bits."""


def tokens(batch: int, time: int) -> Array:
    return np.random.default_rng(0).integers(TOKENS, size=(batch, time))


# --- lengths --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("layers", [1, 2])
def test_mixed_lengths(kind: str, direction: str, pooling: str | None, layers: int, tmp_path: Path) -> None:
    model = make_model(kind, direction=direction, pooling=pooling, num_layers=layers, takes_lengths=True)
    assert_agrees(model, write(model, tmp_path, lowering="native"))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_has_no_effect(direction: str, pooling: str | None, tmp_path: Path) -> None:
    """Each sequence gives the same as alone, with NaN as padding; scores beyond its length are exactly 0."""
    model = make_model("lstm", direction=direction, pooling=pooling, num_layers=2, takes_lengths=True)
    session, oracle = OnnxSession(write(model, tmp_path)), Oracle(model)
    x, lengths = draw(len(LENGTHS), max(LENGTHS)), np.array(LENGTHS)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = np.nan
    together = session.run(x, lengths)
    for row, length in enumerate(LENGTHS):
        alone = x[row : row + 1, :length]
        actual = {name: value[row : row + 1] for name, value in together.items()}
        if pooling is None:
            assert not actual["logits"][:, length:].any()
            actual = {name: value[:, :length] for name, value in actual.items()}
        assert {verdict.status for verdict in judge(oracle.expect(alone), actual).values()} == {"passed"}


def test_lengths_are_an_input_only_of_a_model_that_takes_them(tmp_path: Path) -> None:
    """Without lengths there is no node for them either."""
    for takes_lengths in (True, False):
        model = make_model("gru_after", direction="bidirectional", pooling="max", takes_lengths=takes_lengths)
        graph = onnx.load(write(model, tmp_path)).graph
        assert [value.name for value in graph.input] == ["x", *(["lengths"] if takes_lengths else [])]
        assert any("length" in node.name for node in graph.node) == takes_lengths


@pytest.mark.parametrize(
    ("kind", "lowering", "direction", "pooling", "states"),
    [
        *(("lstm", "native", *rest) for rest in covering(DIRECTIONS, POOLINGS, (False, True))),
        *(("gru_before", "scan", *rest) for rest in covering(DIRECTIONS, POOLINGS, (False, True))),
        *(("rnn_tanh", "unrolled", *rest) for rest in covering(DIRECTIONS, POOLINGS, (False, True))),
    ],
)
def test_every_lowering_refuses_impossible_lengths(
    kind: str, lowering: str, direction: str, pooling: str | None, states: bool, tmp_path: Path
) -> None:
    """The check is in the graph, so plain ONNX Runtime refuses a bad length, alone or among valid ones."""
    options: dict[str, object] = {"direction": direction, "pooling": pooling, "takes_lengths": True}
    model = make_model(kind, hidden_size=3, **options)  # type: ignore[arg-type]
    steps = 7 if lowering == "unrolled" else None
    path = write(model, tmp_path, lowering=lowering, states=states, steps=steps)
    session, quiet = OnnxSession(path, threads=1), ort.SessionOptions()
    quiet.log_severity_level = 4
    plain = ort.InferenceSession(path.read_bytes(), quiet, providers=["CPUExecutionProvider"])

    def run(lengths: list[int]) -> Array:
        x = draw(len(lengths), 7)
        start = {state.name: state.at_start(len(x)) for state in session.states}
        scores: Array = plain.run(["logits"], {"x": x, "lengths": np.array(lengths), **start})[0]
        assert np.array_equal(scores, session.run(x, np.array(lengths))["logits"])
        return scores

    for lengths in ([1], [7], LENGTHS):
        assert len(run(lengths)) == len(lengths)
    for length in IMPOSSIBLE:
        for lengths in ([length], [7, 1, length, 3]):
            with pytest.raises(Exception, match=r"Gather node. Name:'lengths/from_1_to_time'"):
                run(lengths)


@pytest.mark.parametrize("lowering", ["native", "scan"])
def test_one_step_refuses_impossible_lengths(lowering: str, tmp_path: Path) -> None:
    model = make_model("lstm", takes_lengths=True)
    path = write(model, tmp_path, lowering=lowering)
    quiet = ort.SessionOptions()
    quiet.log_severity_level = 4
    plain = ort.InferenceSession(path.read_bytes(), quiet, providers=["CPUExecutionProvider"])
    assert plain.run(None, {"x": draw(1, 1), "lengths": np.array([1])})[0].shape == (1, CLASSES)
    for length in (0, -1, 2, -(2**63)):
        with pytest.raises(Exception, match="lengths/from_1_to_time"):
            plain.run(None, {"x": draw(1, 1), "lengths": np.array([length])})


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_proof_with_lengths(kind: str, tmp_path: Path) -> None:
    model = make_model(kind, direction="bidirectional", pooling=None, takes_lengths=True)
    sample = sequences(draw(20, 8), [8] * 10 + [3] * 10)
    report = prove(model, write(model, tmp_path), sample, ["cpu"], [], lambda *_: None)
    assert report["verdict"] == "passed", report["reasons"]


def without_sequence_lens(graph: onnx.GraphProto) -> None:
    (node,) = [node for node in graph.node if node.op_type == "LSTM"]
    node.input[4] = ""


def mean_over_all_steps(graph: onnx.GraphProto) -> None:
    (node,) = [node for node in graph.node if node.name == "pooling/mean"]
    node.op_type = "Max"  # the maximum of the sum and the lengths


def lengths_halved(graph: onnx.GraphProto) -> None:
    (node,) = [node for node in graph.node if node.name == "lengths/int32"]
    graph.initializer.append(numpy_helper.from_array(np.array(2), "two"))
    shorter = onnx.helper.make_node("Div", ["lengths", "two"], ["halved"], "halved")
    node.input[0] = "halved"
    graph.node.insert(list(graph.node).index(node), shorter)


@pytest.mark.parametrize("fault", [without_sequence_lens, mean_over_all_steps, lengths_halved])
def test_faults_with_lengths_are_found(fault: Callable[[onnx.GraphProto], None], tmp_path: Path) -> None:
    model = make_model("lstm", direction="reverse", pooling="mean", takes_lengths=True)
    path = write(model, tmp_path)
    file = onnx.load(path)
    fault(file.graph)
    onnx.save(file, path)
    report = prove(model, path, sequences(draw(20, 8), [8] * 20), ["cpu"], [], lambda *_: None)
    assert report["verdict"] == "failed"
    assert "mixed lengths" in report["reasons"][0]


# --- tokens ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", [zoo.Embedding(TOKENS, 4, 0.5), zoo.OneHot(TOKENS)], ids=["embedding", "one-hot"])
@pytest.mark.parametrize("takes_lengths", [True, False])
@pytest.mark.parametrize("pooling", ["last", None])
def test_tokens(encoder: zoo.Embedding | zoo.OneHot, takes_lengths: bool, pooling: str | None, tmp_path: Path) -> None:
    model = make_model("gru_after", encoder=encoder, takes_lengths=takes_lengths, pooling=pooling)
    path = write(model, tmp_path)
    assert onnx.load(path).graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.INT64
    assert_agrees(model, path, tokens(20, 8))


def test_an_unknown_token_is_refused(tmp_path: Path) -> None:
    session = OnnxSession(write(make_model("lstm", encoder=zoo.OneHot(TOKENS)), tmp_path))
    with pytest.raises(zoo.RunError, match=r"ONNX Runtime fails on \(1, 2\): "):
        session.run(np.array([[0, TOKENS]]))
    with pytest.raises(zoo.DataError, match=r"sequence \[0\], step \[1\]: has the token -7, expected 0 or more"):
        session.run(np.array([[0, -TOKENS - 1]]))
    assert session.run(np.array([[0, TOKENS - 1]]))["logits"].shape == (1, CLASSES)


# --- heads and readouts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["mean", None])
@pytest.mark.parametrize("bias", [True, False])
def test_head_of_several_layers(pooling: str | None, bias: bool, tmp_path: Path) -> None:
    model = make_model("lstm", pooling=pooling, takes_lengths=True)
    wide = nn.Linear(model.stack.output_size, 7, bias=bias)
    model.head = nn.Sequential(nn.ReLU(), nn.Dropout(0.5), wide, nn.Tanh(), nn.Linear(7, CLASSES, bias=bias))
    model.eval()
    path = write(model, tmp_path)
    assert not any(node.op_type == "Dropout" for node in onnx.load(path).graph.node)
    assert_agrees(model, path)


@pytest.mark.parametrize("pooling", ["last", None])
def test_sigmoid(pooling: str | None, tmp_path: Path) -> None:
    model = make_model("gru_before", pooling=pooling, takes_lengths=True)
    model.head, model.readout = nn.Linear(model.stack.output_size, 1), zoo.SigmoidReadout()
    path = write(model, tmp_path)
    assert_agrees(model, path)
    answers = OnnxSession(path).run(draw(3, 5))
    assert (answers["logits"].shape[-1], answers["probabilities"].shape[-1]) == (1, 2)


@pytest.mark.parametrize("horizon", [0, 1, 3])
@pytest.mark.parametrize("output_activation", [True, False])
def test_numbers_in_the_users_units(horizon: int, output_activation: bool, tmp_path: Path) -> None:
    model = make_model("rnn_tanh", seed=1)
    linear = nn.Linear(model.stack.output_size, 2 * max(horizon, 1))
    model.head = nn.Sequential(linear, nn.Tanh()) if output_activation else linear
    model.readout = zoo.RescaleReadout(zoo.Scale((1000.0, -2.0), (50.0, 0.001)), horizon)
    path = write(model, tmp_path)
    assert_agrees(model, path)
    outputs = OnnxSession(path).run(draw(3, 5))
    assert {name: value.shape for name, value in outputs.items()} == {"y": (3, horizon, 2) if horizon else (3, 2)}
    assert 900 < outputs["y"][..., 0].min() < outputs["y"][..., 0].max() < 1100


SCALE = zoo.Scale((1000.0, -2.0), (50.0, 0.001))


def numbers_at_each_step(kind: str, **options: object) -> zoo.Model:
    """Return a model of two targets, whose means are not 0, that scores each step."""
    model = make_model(kind, pooling=None, **options)  # type: ignore[arg-type]
    return zoo.Model(
        model.encoder,
        model.stack,
        None,
        nn.Linear(model.stack.output_size, 2),
        zoo.RescaleReadout(SCALE),
        takes_lengths=model.takes_lengths,
    ).eval()


@pytest.mark.parametrize(
    ("kind", "lowering", "takes_lengths"),
    [("lstm", "native", True), ("rnn_tanh", "scan", True), ("mgu", "auto", False)],
)
def test_numbers_at_each_step(kind: str, lowering: str, takes_lengths: bool, tmp_path: Path) -> None:
    """Beyond the length of a sequence y is exactly 0, not the mean, which a score of 0 represents."""
    model = numbers_at_each_step(kind, hidden_size=4, takes_lengths=takes_lengths, direction="bidirectional")
    path = write(model, tmp_path, lowering=lowering)
    assert_agrees(model, path)
    assert [value.name for value in onnx.load(path).graph.output] == ["y"]
    lengths = np.array([5, 2]) if takes_lengths else None
    y = OnnxSession(path).run(draw(2, 5), lengths)["y"]
    assert y.shape == (2, 5, 2)
    assert y[0, :, 0].min() > 900
    assert bool(y[1, 2:].any()) != takes_lengths
    with torch.inference_mode():
        by_torch = model.outputs(torch.from_numpy(draw(2, 5)), None if lengths is None else torch.tensor([5, 2]))
    assert bool(by_torch["y"][1, 2:].any()) != takes_lengths


def test_the_whole_proof_of_numbers_at_each_step(tmp_path: Path) -> None:
    model = numbers_at_each_step("gru_after", hidden_size=4, takes_lengths=True)
    path = write(model, tmp_path, states=True)
    report = prove(model, path, sequences(draw(20, 8), [8] * 20), ["cpu"], [], lambda *_: None)
    assert report["verdict"] == "passed", report["reasons"]


def test_numbers_at_each_step_as_a_stream(tmp_path: Path) -> None:
    model = numbers_at_each_step("gru_after", hidden_size=4)
    path = write(model, tmp_path, streaming=True)
    report = prove_streaming(model, path, sequences(draw(20, 8)), ["cpu"], [], lambda *_: None)
    assert report["verdict"] == "passed", report["reasons"]


def test_numbers_beyond_a_length_fail(tmp_path: Path) -> None:
    """The mean in place of 0 fails, although it is within its own budget."""
    model = numbers_at_each_step("lstm", hidden_size=4, takes_lengths=True)
    path = write(model, tmp_path)
    file = onnx.load(path)
    (masked,) = [node for node in file.graph.node if node.name == "readout/within_lengths"]
    masked.op_type, masked.input[:] = "Identity", [masked.input[1]]
    onnx.save(file, path)
    report = prove(model, path, sequences(draw(20, 8), [8] * 20), ["cpu"], [], lambda *_: None)
    assert report["reasons"][0].startswith(
        "cpu: y: numbers beyond the lengths of sequences, where exactly 0 is expected"
    )


def test_no_horizon_after_each_step() -> None:
    model = make_model("lstm", pooling=None)
    with pytest.raises(zoo.SpecError, match=r"^readout: a horizon of 3 steps after each step, expected none where .*$"):
        zoo.Model(
            model.encoder,
            model.stack,
            None,
            nn.Linear(model.stack.output_size, 6),
            zoo.RescaleReadout(SCALE, 3),
        )


def test_a_text_classifier(tmp_path: Path) -> None:
    """The proof passes with embedding, two bidirectional layers, lengths, two layers in the head, and a sigmoid."""
    encoder = zoo.Embedding(TOKENS, FEATURES, 0.1)
    model = make_model("lstm", encoder=encoder, direction="bidirectional", num_layers=2, takes_lengths=True)
    model.head = nn.Sequential(nn.Linear(model.stack.output_size, 4), nn.ReLU(), nn.Linear(4, 1))
    model.readout = zoo.SigmoidReadout()
    sample = zoo.Split(torch.from_numpy(tokens(20, 8)), torch.zeros(20), torch.full((20,), 8))
    report = prove(model.eval(), write(model, tmp_path), sample, ["cpu"], [], lambda *_: None)
    assert report["verdict"] == "passed", report["reasons"]
