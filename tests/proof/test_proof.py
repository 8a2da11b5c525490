"""The proof as a whole: its inputs, its modes and its verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

import zoo
from tests.proof.mutants import Graph
from tests.support.builders import make_stack
from tests.support.models import FEATURES, draw, make_model, sequences, write
from zoo.parity import Comparison, Expected, Status, judge, with_usual_scale
from zoo.proof.cases import SHAPES, Case, Extent, draw_cases
from zoo.proof.domain import Domain
from zoo.proof.expectations import Expectations
from zoo.proof.inputs import Input
from zoo.proof.oracle import Oracle
from zoo.proof.outcomes import Outcome, judged_steps, overall, summary
from zoo.proof.prove import MODES, FileProperties, cases_for, prove, prove_against
from zoo.runtime.providers import PlacedNode, unavailable
from zoo.runtime.session import OnnxSession
from zoo_onnx import OnnxExporter

SAMPLE = sequences(draw(64, 8))


def proof(
    model: zoo.Model, path: Path, faults: Sequence[str] = (), properties: FileProperties | None = None
) -> dict[str, Any]:
    return prove(model, path, SAMPLE, ["cpu"], faults, lambda *_: None, properties=properties)


# --- inputs ---------------------------------------------------------------------------------------------------------


def test_shapes() -> None:
    assert set(SHAPES) >= {(1, 1), (1, 7), (3, 28), (5, 50), (2, 200), (64, 28)}


def test_inputs_are_the_data_and_a_wide_band_around_it() -> None:
    sample = draw(20, 8).round()
    cases = list(draw_cases(sample))
    assert [(case.batch, case.time, case.inputs) for case in cases] == [
        (batch, time, inputs) for batch, time in SHAPES for inputs in ("data", "wide")
    ]
    rows = {row.tobytes() for row in sample.reshape(-1, FEATURES)}
    for case in cases:
        assert case.x.shape == (case.batch, case.time, FEATURES)
        assert case.x.dtype == np.float32
        if case.inputs == "data":
            assert {row.tobytes() for row in case.x.reshape(-1, FEATURES)} <= rows
        else:
            assert case.x.min() >= -16
            assert case.x.max() <= 32
    wide = np.concatenate([case.x.ravel() for case in cases if case.inputs == "wide"])
    assert wide.min() < -15
    assert wide.max() > 31


def test_long_inputs_are_whole_sequences_one_after_the_other() -> None:
    sample = draw(20, 8)
    (case,) = [case for case in draw_cases(sample) if (case.time, case.inputs) == (50, "data")]
    sequences_ = {sequence.tobytes() for sequence in sample}
    for row in case.x:
        assert {part.tobytes() for part in row[:48].reshape(6, 8, FEATURES)} <= sequences_


def test_inputs_are_the_same_each_time() -> None:
    for first, second in zip(draw_cases(draw(20, 8)), draw_cases(draw(20, 8)), strict=True):
        assert np.array_equal(first.x, second.x)


def test_constant_data_still_varies_in_the_wide_inputs() -> None:
    assert all(np.ptp(case.x) > 0 for case in draw_cases(np.full((3, 8, 2), 5.0)) if case.inputs == "wide")


@pytest.mark.parametrize("tokens", [0, 6])
def test_the_padding_is_nan_or_tokens(tokens: int) -> None:
    """The padding is NaN, or random tokens. Lengths are mixed, and the first sequence is full."""
    sample = np.random.default_rng(0).integers(6, size=(20, 8)) if tokens else draw(20, 8)
    cases = list(draw_cases(sample, Domain(tokens), with_lengths=True))
    for case in cases:
        assert case.lengths is not None
        assert case.lengths[0] == case.time
        beyond = np.arange(case.time) >= case.lengths[:, None]
        if tokens:
            assert case.x.min() >= 0
            assert case.x.max() < tokens
        else:
            assert np.array_equal(np.isnan(case.x), np.broadcast_to(beyond[..., None], case.x.shape))
    assert {len(set(case.lengths.tolist())) > 1 for case in cases if case.lengths is not None} == {True, False}


def test_a_file_that_reads_the_padding_fails(tmp_path: Path) -> None:
    """The file adds 0 times the sum over all steps, which is 0 for numbers and NaN for NaN."""
    model = make_model("lstm", pooling="mean", takes_lengths=True)
    path = write(model, tmp_path)
    file = onnx.load(path)
    graph = Graph(file)
    graph.set("nothing", np.array(0, np.float32))
    graph.set("axes", np.array([1, 2]))
    graph.node("head/linear").output[0] = "scores"
    graph.insert(
        "head/linear",
        onnx.helper.make_node("ReduceSum", ["x", "axes"], ["sum"], "sum", keepdims=0),
        onnx.helper.make_node("Mul", ["sum", "nothing"], ["none"], "none"),
        onnx.helper.make_node("Unsqueeze", ["none", "one_axis"], ["column"], "column"),
        onnx.helper.make_node("Add", ["scores", "column"], ["logits"], "added"),
    )
    graph.set("one_axis", np.array([1]))
    onnx.save(file, path)
    report = proof(model, path)
    assert report["verdict"] == "failed"
    assert "logits: NaN or infinity where the exact result has a number" in report["reasons"][0]


# --- modes ----------------------------------------------------------------------------------------------------------


def test_modes() -> None:
    """CUDA runs in float32, and in TF32 as ONNX Runtime does by default; the CPU runs in float32."""
    modes = {mode.name: (mode.strict, mode.precision) for group in MODES.values() for mode in group}
    assert modes == {"cpu": (True, "float32"), "cuda strict": (True, "float32"), "cuda deployed": (False, "tf32")}


@pytest.mark.skipif(unavailable("cuda") is None, reason="CUDA can run here")
def test_an_absent_provider_is_unavailable_and_never_passed(tmp_path: Path) -> None:
    model = make_model("gru_after")
    path = write(model, tmp_path)
    both = prove(model, path, SAMPLE, ["cpu", "cuda"], [], lambda *_: None)
    assert {result["name"]: result["status"] for result in both["providers"]} == {
        "cpu": "passed",
        "cuda strict": "unavailable",
        "cuda deployed": "unavailable",
    }
    assert (both["verdict"], both["reasons"]) == ("passed", [])
    alone = prove(model, path, SAMPLE, ["cuda"], [], lambda *_: None)
    assert alone["verdict"] == "unavailable"
    assert alone["reasons"] == [f"{name}: {unavailable('cuda')}" for name in ("cuda strict", "cuda deployed")]


def test_cuda_is_run_in_both_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU stands in for CUDA and records the requested modes."""
    requested = []

    class StandIn(OnnxSession):
        def __init__(self, path: Path, provider: str = "cpu", *, strict: bool = True) -> None:
            requested.append((provider, strict))
            super().__init__(path)

        def placement(self) -> list[PlacedNode]:
            return [PlacedNode(node.name, node.operator, "CUDAExecutionProvider") for node in super().placement()]

    monkeypatch.setattr("zoo.proof.prove.OnnxSession", StandIn)
    monkeypatch.setattr("zoo.proof.prove.unavailable", lambda *_: None)
    monkeypatch.setattr(
        "zoo.proof.prove.device_copies", lambda *_: [{"steps": 1, "nodes": 2}, {"steps": 200, "nodes": 2}]
    )
    monkeypatch.setattr("zoo.proof.prove.refusal_without_cpu", lambda *_: None)
    model = make_model("gru_after")
    report = prove(model, write(model, tmp_path), SAMPLE, ["cuda"], [], lambda *_: None)
    assert requested == [("cpu", True), ("cuda", True), ("cuda", False)]  # the first session reads the metadata
    assert [(result["name"], result["precision"], result["status"]) for result in report["providers"]] == [
        ("cuda strict", "float32", "passed"),
        ("cuda deployed", "tf32", "passed"),
    ]
    assert report["providers"][0]["nodes"] == {"CUDAExecutionProvider": len(report["providers"][0]["placement"])}


# --- a fixed number of steps ----------------------------------------------------------------------------------------


FIXED = FileProperties("unrolled", 6)


def unrolled(model: zoo.Model, folder: Path, steps: str | None = None) -> Path:
    """Write a file for 6 steps, with ``steps`` in its metadata."""
    path = write(model, folder, lowering="unrolled", steps=6)
    OnnxExporter().annotate(path, {"lowering": "unrolled", **({} if steps is None else {"steps": steps})})
    return path


@pytest.mark.parametrize("takes_lengths", [True, False])
def test_a_file_for_a_fixed_number_of_steps_is_proven_with_these(takes_lengths: bool, tmp_path: Path) -> None:
    model = make_model("gru_before", takes_lengths=takes_lengths, pooling=None)
    report = proof(model, unrolled(model, tmp_path), properties=FIXED)
    assert report["verdict"] == "passed", report["reasons"]
    assert (report["lowering"], report["steps"]) == ("unrolled", 6)
    shapes = [(case["batch"], case["time"]) for case in report["cases"] if not case.get("drawn")]
    assert shapes == [(batch, 6) for batch in (1, 3, 5, 2, 64) for _ in ("data", "wide")]
    assert {case["time"] for case in report["cases"]} == {6}


@pytest.mark.parametrize("steps", [None, "6"])
def test_a_file_whose_steps_are_fixed_without_request_fails(steps: str | None, tmp_path: Path) -> None:
    """As after a trace; what the file states itself is no request."""
    model = make_model("gru_before")
    report = proof(model, unrolled(model, tmp_path, steps))
    assert report["verdict"] == "failed"
    assert "takes exactly 6 steps" in report["reasons"][0]
    assert "steps" not in report


def test_a_wrong_unrolled_file_fails(tmp_path: Path) -> None:
    path = unrolled(make_model("gru_before", seed=1), tmp_path)
    assert proof(make_model("gru_before"), path, properties=FIXED)["reasons"][0].startswith("cpu: logits: error ")


# --- verdicts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        (["passed", "passed"], "passed"),
        (["passed", "unavailable"], "passed"),
        (["passed", "ill-conditioned"], "ill-conditioned"),
        (["ill-conditioned", "failed", "passed"], "failed"),
        (["unavailable", "failed"], "failed"),
        (["unavailable", "ill-conditioned"], "ill-conditioned"),
        (["unavailable", "unavailable"], "unavailable"),
    ],
)
def test_one_verdict_from_several(statuses: list[str], verdict: str) -> None:
    assert overall(statuses) == verdict


def test_another_model_fails(tmp_path: Path) -> None:
    """A file with the same shapes and other weights."""
    report = proof(make_model("lstm", seed=1), write(make_model("lstm", seed=2), tmp_path))
    assert report["verdict"] == "failed"
    (reason,) = report["reasons"]
    assert reason.startswith("cpu: logits: error ")
    assert " steps, " in reason


def test_the_report_has_the_worst_of_all_inputs(tmp_path: Path) -> None:
    """For a file with other weights, whose errors and labels differ from input to input."""
    model = make_model("gru_after", num_layers=2)
    path = write(make_model("gru_after", num_layers=2, seed=2), tmp_path)
    report = proof(model, path)
    (result,) = report["providers"]
    oracle, session = Oracle(model), OnnxSession(path)
    cases = cases_for(model, SAMPLE, FileProperties(), extent=Extent(report["seed"]))
    from_file, from_torch = [], []
    usual = [case.inputs != "extreme" for case in cases]
    exact = with_usual_scale(oracle.expect_each([Input(case.x) for case in cases], "float32"), usual)
    for case, expected in zip(cases, exact, strict=True):
        with torch.inference_mode():
            outputs = {name: value.numpy() for name, value in model.outputs(torch.from_numpy(case.x)).items()}
        from_file.append(judge(expected, session.run(case.x)))
        from_torch.append(judge(expected, outputs))
    for output in result["outputs"]:
        results = [each[output["name"]] for each in from_file]
        worst = max(range(len(cases)), key=lambda index: results[index].over_budget)
        assert output["max_error"] == max(result.max_error for result in results)
        assert output["over_budget"] == results[worst].over_budget
        assert output["amplification"] == max(result.amplification for result in results)
        assert output["agreement"] == min(result.agreement for result in results)
        assert output["torch_max_error"] == max(each[output["name"]].max_error for each in from_torch)
        case = cases[worst]
        assert output["worst_case"] == case.to_dict()


def test_scores_beyond_a_length_fail(tmp_path: Path) -> None:
    """Even where they are smaller than any budget, and all other numbers are right."""
    model = make_model("gru_after", pooling=None, takes_lengths=True)
    path = write(model, tmp_path)
    file = onnx.load(path)
    (zero,) = [tensor for tensor in file.graph.initializer if tensor.name == "head/within_lengths/zero"]
    zero.CopyFrom(onnx.numpy_helper.from_array(np.array(1e-12, np.float32), zero.name))
    onnx.save(file, path)
    report = proof(model, path)
    assert report["reasons"][0].startswith("cpu: logits: numbers beyond the lengths of sequences, where exactly 0 is")


def test_a_faulty_file_fails_however_well_it_agrees(tmp_path: Path) -> None:
    model = make_model("lstm")
    report = proof(model, write(model, tmp_path), faults=["its seal is broken"])
    assert (report["verdict"], report["reasons"]) == ("failed", ["its seal is broken"])
    assert report["providers"][0]["status"] == "passed"


def test_a_chaotic_model_is_never_passed(tmp_path: Path) -> None:
    model = make_model("rnn_tanh", hidden_size=64, recurrent_gain=6)
    report = prove(model, write(model, tmp_path), sequences(draw(64, 100)), ["cpu"], [], lambda *_: None)
    assert report["verdict"] == "ill-conditioned"
    outputs = report["providers"][0]["outputs"]
    assert max(output["amplification"] for output in outputs) > 1e4
    assert max(output["ill_conditioned_cases"] for output in outputs) > 0
    assert "the model amplifies rounding" in report["reasons"][0]


def test_a_model_that_overflows_is_never_passed(tmp_path: Path) -> None:
    """Nor failed, though ONNX Runtime returns NaN where float64 has numbers."""
    model = make_model("rnn_relu", hidden_size=32, recurrent_gain=1e6)
    report = proof(model, write(model, tmp_path))
    assert report["verdict"] == "ill-conditioned"
    assert "the model leaves the range of float32" in report["reasons"][0]


def test_agreement_on_constants_is_inconclusive(tmp_path: Path) -> None:
    model = make_model("lstm")
    torch.nn.init.zeros_(model.head.get_parameter("weight"))
    constant = proof(model, write(model, tmp_path))
    assert constant["verdict"] == "inconclusive"
    assert "logits: the output depends on the input by less than its budget" in constant["reasons"][0]
    torch.nn.init.zeros_(model.head.get_parameter("bias"))
    zero = proof(model, write(model, tmp_path))
    assert zero["verdict"] == "inconclusive"
    assert "logits: the output is zero for every input" in zero["reasons"][0]


def test_a_node_that_ran_elsewhere_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session may run on another provider than requested; the recorded placement shows it."""
    model = make_model("lstm")
    path = write(model, tmp_path)
    elsewhere = [PlacedNode("layer_0/lstm", "LSTM", "OtherExecutionProvider")]
    monkeypatch.setattr(OnnxSession, "placement", lambda _: elsewhere)
    report = proof(model, path)
    assert report["verdict"] == "failed"
    assert report["reasons"] == ["cpu: no node ran on cpu; ONNX Runtime placed them on OtherExecutionProvider"]


def test_a_file_of_other_features_fails(tmp_path: Path) -> None:
    stack = make_stack("lstm", input_size=5, dtype=torch.float32)
    normaliser = zoo.Normaliser(zoo.Scale((0.0,) * 5, (1.0,) * 5))
    other = zoo.Model(normaliser, stack, "last", torch.nn.Linear(stack.output_size, 10), zoo.SoftmaxReadout())
    report = proof(make_model("lstm"), write(other, tmp_path))
    assert report["verdict"] == "failed"
    assert report["reasons"] == ["cpu: model.onnx: takes (batch, time, 5), got (1, 1, 8); reshape the input"]


# --- lower precision: up to how many steps ----------------------------------------------------------------------------


def outcome(steps: int, status: Status) -> Outcome:
    case = Case(1, steps, "data", np.zeros((1, steps, 1), np.float32))
    expected = Expected(np.ones((1, 1)), np.zeros(1))
    return Outcome(case, expected, *[Comparison(status, status, 0.0, 0.0, 0.0, 1.0, np.zeros(1))] * 2)


@pytest.mark.parametrize(
    ("statuses", "least", "limit"),
    [
        ({1: "passed", 28: "passed", 200: "passed"}, 8, None),
        ({1: "passed", 28: "passed", 200: "ill-conditioned"}, 8, 28),
        ({1: "passed", 28: "ill-conditioned", 50: "passed"}, 1, 1),
        ({1: "passed", 28: "failed", 200: "ill-conditioned"}, 28, 28),
        ({1: "passed", 28: "passed", 200: "ill-conditioned"}, 29, None),
        ({1: "ill-conditioned"}, 0, None),
    ],
)
def test_up_to_how_many_steps(statuses: dict[int, Status], least: int, limit: int | None) -> None:
    mixed = [outcome(steps, status) for steps, status in statuses.items()]
    passed = [outcome(steps, "passed") for steps in statuses]
    assert judged_steps([passed, mixed], least) == limit


def test_a_failure_beyond_the_limit_is_a_failure() -> None:
    outcomes = [outcome(1, "passed"), outcome(28, "passed"), outcome(50, "ill-conditioned"), outcome(200, "failed")]
    assert summary("y", outcomes, 28, state=True)["status"] == "failed"
    assert summary("y", outcomes[:-1], 28, state=True)["status"] == "passed"
    assert summary("y", outcomes[:-1], None, state=True)["status"] == "ill-conditioned"


def test_a_file_of_lower_precision_is_proven_up_to_what_can_be_judged(tmp_path: Path) -> None:
    """In bfloat16 an RNN with a large gain permits a verdict up to some number of steps only."""
    model = make_model("rnn_tanh", hidden_size=32, recurrent_gain=4)
    path = write(model, tmp_path, lowering="native")
    properties = FileProperties(precision="bfloat16")
    expectations = Expectations(model, cases_for(model, sequences(draw(8, 5)), properties))
    report = prove_against(expectations, path, properties, ["cpu"], [], data_steps=5)
    (result,) = report["providers"]
    assert (report["verdict"], result["judged_steps"]) == ("passed", 7)
    assert all(output["ill_conditioned_cases"] > 0 for output in result["outputs"])
    report = prove_against(expectations, path, properties, ["cpu"], [], data_steps=28)
    assert report["verdict"] == "ill-conditioned"
