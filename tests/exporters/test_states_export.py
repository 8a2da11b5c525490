"""States as inputs and outputs of a file, lowerings and fixed lengths from the command line, and long streams."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest

import zoo
from tests.support.builders import DIRECTIONS
from tests.support.command import Outcome, run_zoo
from tests.support.models import draw, make_model, sequences, write
from tests.support.runs import build_run
from zoo.cli.export import LOWERINGS
from zoo.jobs.export import with_steps
from zoo.parity import Array, Expected, judge
from zoo.proof.cases import SHAPES, Case, draw_cases, with_states
from zoo.proof.oracle import Oracle
from zoo.proof.prove import FileProperties, prove
from zoo.runtime.session import OnnxSession
from zoo.runtime.streaming import OnnxStream
from zoo_onnx import OnnxExporter

HIDDEN = 5
SAMPLE = sequences(draw(20, 8))


def proof(model: zoo.Model, path: Path, properties: FileProperties | None = None) -> dict[str, Any]:
    return prove(model, path, SAMPLE, ["cpu"], [], lambda *_: None, properties=properties)


# --- the inputs of the proof ----------------------------------------------------------------------------------------


def cases_of(model: zoo.Model) -> list[Case]:
    return list(with_states(model, list(draw_cases(draw(20, 8)))))


def test_each_shape_has_initial_and_random_states() -> None:
    model = make_model("lstm", hidden_size=HIDDEN, num_layers=2)
    cases = [(case.batch, case.time, case.inputs, bool(case.states)) for case in cases_of(model)]
    kinds = (("data", False), ("data", True), ("wide", False))
    assert cases == [(*shape, inputs, states) for shape in SHAPES for inputs, states in kinds]
    for case in cases_of(model):
        assert case.states is not None
        assert {name: value.shape for name, value in case.states.items()} == (
            {place.name: (case.batch, HIDDEN) for place in model.state_places()} if case.states else {}
        )
    (random, *_) = [case for case in cases_of(model) if case.states]
    assert str(random).endswith("data inputs, random states")
    assert random.to_dict() == {"batch": 1, "time": 1, "inputs": "data", "states": "random"}


def test_random_states_are_as_large_as_those_that_the_model_reaches() -> None:
    """Their size fits a gated state between -1 and 1 and a mean of grey values up to 16; no two are equal."""
    for kind, spread in (("gru_after", 1.0), ("smoothing", 16.0)):
        states = [next(iter(case.states.values())) for case in cases_of(make_model(kind)) if case.states]
        assert all(np.unique(value).size == value.size for value in states)
        largest = max(np.abs(value).max() for value in states)
        assert spread / 20 < largest < 10 * spread, kind


def test_integers_are_small_counts() -> None:
    states = [case.states["state_0_t"] for case in cases_of(make_model("clockwork")) if case.states]
    assert {value.dtype for value in states} == {np.dtype(np.int64)}
    assert set(np.concatenate(states).ravel().tolist()) <= set(range(10))
    assert len(np.unique(np.concatenate(states))) > 5


# --- passes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "lowering", "direction", "takes_lengths"),
    [
        *(("lstm", "native", direction, True) for direction in DIRECTIONS),
        *(("clockwork", "scan", direction, direction != "reverse") for direction in DIRECTIONS),
        ("gru_before", "native", "forward", False),
        ("learned_start", "scan", "bidirectional", True),
        ("rnn_relu", "scan", "forward", True),
        ("clockwork", "unrolled", "bidirectional", True),
    ],
)
@pytest.mark.parametrize("pooling", ["last", None])
def test_files_with_states_pass(
    kind: str, lowering: str, direction: str, takes_lengths: bool, pooling: str | None, tmp_path: Path
) -> None:
    options: dict[str, object] = {"direction": direction, "takes_lengths": takes_lengths, "pooling": pooling}
    model = make_model(kind, hidden_size=HIDDEN, num_layers=2, **options)  # type: ignore[arg-type]
    steps = 6 if lowering == "unrolled" else None
    path = write(model, tmp_path, lowering=lowering, states=True, steps=steps)
    report = proof(model, path, FileProperties(lowering, steps, states=True))
    assert report["verdict"] == "passed", report["reasons"]
    names = {output["name"] for output in report["providers"][0]["outputs"]}
    assert names == {"logits", "probabilities", *(place.next_name for place in model.state_places())}
    assert {case["states"] for case in report["cases"]} == {"initial", "random"}


def test_states_need_not_depend_on_the_input(tmp_path: Path) -> None:
    """A counter does not depend on it, nor does a state that is always 0; but the named outputs must."""
    model = make_model("clockwork", hidden_size=HIDDEN)
    model.head.get_parameter("weight").data.zero_()
    report = proof(model, write(model, tmp_path, states=True))
    statuses = {output["name"]: output["status"] for output in report["providers"][0]["outputs"]}
    assert statuses == {
        **dict.fromkeys(("logits", "probabilities"), "inconclusive"),
        **dict.fromkeys(("next_state_0_fast", "next_state_0_slow", "next_state_0_t"), "passed"),
    }


# --- failures -------------------------------------------------------------------------------------------------------


def node_that_gives(graph: onnx.GraphProto, output: str) -> onnx.NodeProto:
    producer: onnx.NodeProto
    (producer,) = [node for node in graph.node if output in node.output]
    return producer


def exchanged(first: str, second: str) -> Callable[[onnx.GraphProto], None]:
    """Return a fault that exchanges two inputs, or two outputs."""

    def exchange(graph: onnx.GraphProto) -> None:
        names = {first: second, second: first}
        for node in graph.node:
            for values in (node.input, node.output):
                values[:] = [names.get(value, value) for value in values]

    return exchange


def ignored(state: str) -> Callable[[onnx.GraphProto], None]:
    """Return a fault that replaces an input state by zeros."""

    def ignore(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            for place, name in enumerate(node.input):
                if name == state:
                    node.input[place] = "zeros"
        graph.node.insert(0, onnx.helper.make_node("Sub", [state, state], ["zeros"], "zeros"))

    return ignore


def repeated(graph: onnx.GraphProto) -> None:
    """Replace a final state by the initial one."""
    node = node_that_gives(graph, "next_state_0_h")
    node.op_type = "Identity"
    del node.input[:]
    node.input.append("state_0_h")
    del node.attribute[:]


def counted_once_more(graph: onnx.GraphProto) -> None:
    node = node_that_gives(graph, "next_state_0_t")
    index = list(node.output).index("next_state_0_t")
    node.output[index] = "count"
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(1), "one_more"))
    graph.node.append(onnx.helper.make_node("Add", ["count", "one_more"], ["next_state_0_t"], "more"))


def in_another_type(graph: onnx.GraphProto) -> None:
    node = node_that_gives(graph, "next_state_0_t")
    node.output[list(node.output).index("next_state_0_t")] = "count"
    graph.node.append(onnx.helper.make_node("Cast", ["count"], ["next_state_0_t"], "cast", to=onnx.TensorProto.INT32))
    (value,) = [value for value in graph.output if value.name == "next_state_0_t"]
    value.type.tensor_type.elem_type = onnx.TensorProto.INT32


FAULTS: dict[str, tuple[str, Callable[[onnx.GraphProto], None], str]] = {
    "h and c exchanged on the way out": (
        "lstm",
        exchanged("next_state_0_h", "next_state_0_c"),
        "next_state_0_h: error",
    ),
    "h and c exchanged on the way in": ("lstm", exchanged("state_0_h", "state_0_c"), "data inputs, random states)"),
    "layers exchanged": ("lstm", exchanged("next_state_0_c", "next_state_1_c"), "next_state_0_c: error"),
    "initial h ignored": ("lstm", ignored("state_0_h"), "data inputs, random states)"),
    "initial c of the last layer ignored": ("lstm", ignored("state_1_c"), "data inputs, random states)"),
    "h given back": ("gru_after", repeated, "next_state_0_h: error"),
    "one step too many": ("clockwork", counted_once_more, "next_state_0_t: error 1.00e+00 where it must be equal"),
    "a counter of another type": ("clockwork", in_another_type, "next_state_0_t: dtype int32 instead of int64"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_proof_finds(fault: str, tmp_path: Path) -> None:
    kind, alter, reason = FAULTS[fault]
    model = make_model(kind, hidden_size=HIDDEN, num_layers=2)
    path = write(model, tmp_path, states=True)
    file = onnx.load(path)
    alter(file.graph)
    onnx.save(file, path)
    report = proof(model, path)
    assert report["verdict"] == "failed"
    assert reason in report["reasons"][0]


def test_directions_exchanged_are_found(tmp_path: Path) -> None:
    model = make_model("gru_after", hidden_size=HIDDEN, direction="bidirectional")
    path = write(model, tmp_path, states=True)
    file = onnx.load(path)
    exchanged("next_state_0_forward_h", "next_state_0_reverse_h")(file.graph)
    onnx.save(file, path)
    assert "next_state_0_forward_h: error" in proof(model, path)["reasons"][0]


def test_states_after_the_padding_are_found(tmp_path: Path) -> None:
    """States of the last step, not of the last valid one, are a fault."""
    model = make_model("lstm", hidden_size=HIDDEN, takes_lengths=True)
    path = write(model, tmp_path, states=True)
    file = onnx.load(path)
    (node,) = [node for node in file.graph.node if node.op_type == "LSTM"]
    node.input[4] = ""
    onnx.save(file, path)
    assert "mixed lengths" in proof(model, path)["reasons"][0]


def test_a_file_without_its_states_in_the_metadata_fails(tmp_path: Path) -> None:
    model = make_model("gru_after")
    path = write(model, tmp_path, states=True)
    OnnxExporter().annotate(path, {"states": "[]"})
    assert proof(model, path)["reasons"] == [
        f"cpu: {path}: has inputs or outputs that differ from its metadata; export the run again"
    ]


def test_a_file_with_the_states_of_another_model_fails(tmp_path: Path) -> None:
    path = write(make_model("lstm"), tmp_path, states=True)
    assert proof(make_model("gru_after"), path)["verdict"] == "failed"


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_run(tmp_path_factory.mktemp("runs"), "gru", "training.epochs=1", "architecture.direction=forward")


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Path:
    """Return a copy of a run, which a test may change."""
    return Path(shutil.copytree(built, tmp_path / "gru"))


def export(run: Path, *options: str) -> Outcome:
    return run_zoo("export", run, "--onnx", "--provider", "cpu", *options)


def test_lowerings_are_those_of_the_core() -> None:
    assert get_args(zoo.Lowering) == LOWERINGS


@pytest.mark.parametrize(("lowering", "operators"), [("native", {"GRU"}), ("scan", {"Scan"}), ("unrolled", set())])
def test_each_lowering_is_written_and_reported(lowering: str, operators: set[str], run: Path) -> None:
    outcome = export(run, "--lowering", lowering)
    assert outcome.exit_code == 0, outcome.stderr
    path = run / "onnx" / "model.onnx"
    assert {node.op_type for node in onnx.load(path).graph.node} & {"GRU", "Scan"} == operators
    metadata = OnnxSession(path).metadata
    fixed = lowering == "unrolled"
    assert (metadata["lowering"], metadata.get("steps")) == (lowering, "8" if fixed else None)
    steps = ", for exactly 8 steps" if fixed else ""
    for shown in (outcome.stdout, run_zoo("check", run, "--provider", "cpu").stdout):
        assert shown.splitlines()[1] == f"lowering: {lowering}{steps}"


def test_auto_is_what_an_export_does_by_itself(run: Path) -> None:
    report = json.loads(export(run, "--json").stdout)
    assert (report["lowering"], "steps" in report) == ("auto", False)
    assert "lowering: " not in run_zoo("check", run, "--provider", "cpu").stdout


def test_the_requested_number_of_steps(run: Path) -> None:
    report = json.loads(export(run, "--lowering", "unrolled", "--steps", "3", "--json").stdout)
    assert (report["verdict"], report["steps"]) == ("passed", 3)
    assert {case["time"] for case in report["cases"]} == {3}
    assert OnnxSession(run / "onnx" / "model.onnx").input.steps == 3


def test_states_and_a_stream_of_the_same_lowering(run: Path) -> None:
    outcome = export(run, "--lowering", "scan", "--states", "--streaming", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    whole = json.loads(outcome.stdout)
    (stream,) = whole["further"]
    assert (whole["lowering"], stream["lowering"]) == ("scan", "scan")
    assert {case["states"] for case in whole["cases"]} == {"initial", "random"}
    for name in ("model.onnx", "model.stream.onnx"):
        session = OnnxSession(run / "onnx" / name)
        assert [state.name for state in session.states] == ["state_0_h"]
        assert {node.operator for node in session.placement()} & {"GRU", "Scan"} == {"Scan"}


@pytest.mark.parametrize(
    ("options", "exit_code", "message"),
    [
        (
            ("--steps", "4"),
            2,
            "error: steps: only an unrolled graph takes a fixed number of steps, and the lowering is 'auto', which "
            "takes any number; take the lowering unrolled, or leave steps out\n",
        ),
        (
            ("--lowering", "unrolled", "--streaming"),
            2,
            "error: streaming: an unrolled graph takes one fixed number of steps, and chunks have any number; use "
            "another lowering, or leave streaming out\n",
        ),
        (("--lowering", "unrolled", "--steps", "0"), 2, "0 is not in the range x>=1"),
        (("--lowering", "loop"), 2, "'loop' is not one of 'auto', 'native', 'scan', 'unrolled'"),
    ],
)
def test_options_that_do_not_go_together(options: tuple[str, ...], exit_code: int, message: str, run: Path) -> None:
    outcome = export(run, *options)
    assert (outcome.exit_code, outcome.stdout) == (exit_code, "")
    assert message in outcome.stderr
    assert not (run / "onnx").exists()


def test_an_impossible_number_of_steps_from_python() -> None:
    with pytest.raises(zoo.UsageError, match="steps: expected at least 1, got 0"):
        with_steps(zoo.ExportOptions(lowering="unrolled", steps=0), 8)


# --- long streams ---------------------------------------------------------------------------------------------------

LONG = 10_000


@pytest.fixture(scope="module")
def long_stream() -> tuple[zoo.Model, Array, dict[str, Expected]]:
    """Return a model, a sequence of 10,000 steps, and its exact result, the slowest computation of this file."""
    model = make_model("lstm", hidden_size=8, pooling=None)
    x = draw(1, LONG)
    return model, x, dict(Oracle(model).expect(x))


def streamed(stream: OnnxStream, x: Array, chunk: int) -> dict[str, Array]:
    def pieces() -> Iterator[dict[str, Array]]:
        for start in range(0, x.shape[1], chunk):
            yield stream.push(x[:, start : start + chunk])

    stream.reset()
    answers = list(pieces())
    return {name: np.concatenate([piece[name] for piece in answers], 1) for name in answers[0]}


@pytest.mark.parametrize("lowering", ["native", "scan"])
def test_a_long_stream(
    lowering: str, long_stream: tuple[zoo.Model, Array, dict[str, Expected]], tmp_path: Path
) -> None:
    """Chunks of 1, of 7 and all at once agree with the exact result and with the graph of whole sequences.

    An error of a thousandth in a state, at one step, fails.
    """
    model, x, expected = long_stream
    whole = OnnxSession(write(model, tmp_path, lowering=lowering), threads=1).run(x)
    assert {verdict.status for verdict in judge(expected, whole).values()} == {"passed"}
    by_whole = {name: replace(value, exact=whole[name].astype(np.float64)) for name, value in expected.items()}
    session = OnnxSession(write(model, tmp_path, lowering=lowering, streaming=True), threads=1)
    stream = OnnxStream(session)
    for chunk in (1, 7, LONG):
        actual = streamed(stream, x, chunk)
        for reference in (expected, by_whole):
            assert {verdict.status for verdict in judge(reference, actual).values()} == {"passed"}, chunk
    first = session.run(x[:, : LONG // 2])
    moved = {state.name: first[state.next_name] * np.float32(1.001) for state in session.states}
    second = session.run(x[:, LONG // 2 :], states=moved)
    actual = {name: np.concatenate([first[name], second[name]], 1) for name in expected}
    assert {verdict.status for verdict in judge(expected, actual).values()} == {"failed"}
