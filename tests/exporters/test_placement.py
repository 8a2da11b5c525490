"""Placement of nodes: which nodes of a file are recurrent, the prediction, and when a proof fails because of placement.

CUDA itself is tested in tests/gpu. These tests use real files and records of the CPU, and synthetic records of CUDA.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

import zoo
from tests.support.command import run_zoo
from tests.support.models import draw, make_model, sequences, write
from zoo.cli.verdict import _observations
from zoo.parity import Expected
from zoo.proof.cases import Case
from zoo.proof.observed import (
    COPIES,
    count_copies,
    device_copies,
    difference_over_budget,
    largest_over_budget,
    repeatability,
    repeated_case,
    repeats_fault,
)
from zoo.proof.prove import ProviderRequest, prove
from zoo.runtime.placement import (
    add_unpredicted,
    nodes_of,
    placement_fault,
    placement_summary,
    recurrent_nodes,
    require_placement,
)
from zoo.runtime.providers import PlacedNode
from zoo.runtime.session import OnnxSession
from zoo_onnx import OnnxExporter
from zoo_onnx.placement import KERNELS, NO_KERNEL, node_reason

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = make_model("lstm", hidden_size=8, takes_lengths=True, pooling=None)
    return write(model, tmp_path_factory.mktemp("scan"), lowering="scan")


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(make_model("gru_before", hidden_size=8), tmp_path_factory.mktemp("native"), lowering="native")


# --- recurrent nodes ------------------------------------------------------------------------------------------------


def test_bodies_are_read_from_the_bytes(scan: Path) -> None:
    """The reader of bytes finds the same nodes as onnx-ir."""
    expected = set()
    for node in ir.load(scan).graph:
        expected.add((node.name, node.op_type, False))
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                expected |= {(inner.name, inner.op_type, True) for inner in attribute.as_graph()}
    assert set(nodes_of(scan.read_bytes())) == expected
    assert len([node for node in expected if node[2]]) > 10


def test_onnx_runtime_records_nodes_in_bodies(scan: Path) -> None:
    """Every node that is not merged is recorded under its own name, so bodies are part of the proof."""
    recorded = {node.name for node in recurrent_nodes(scan.read_bytes(), OnnxSession(scan).placement())}
    inside = {node.name for node in nodes_of(scan.read_bytes()) if node.in_body and node.operator != "Identity"}
    assert "layer_0/lstm" in recorded
    assert recorded >= inside
    assert not {"head/linear", "encoder/subtract_mean"} & recorded


@pytest.mark.parametrize("moved", ["layer_0/lstm", "layer_0/lstm/step/candidate", "layer_0/lstm/step/candidate/merged"])
def test_one_recurrent_node_elsewhere_is_named(moved: str, scan: Path) -> None:
    placed = [PlacedNode(node.name, node.operator, CUDA) for node in OnnxSession(scan).placement()]
    content = scan.read_bytes()
    assert placement_summary(content, placed, "cuda")["elsewhere"] == []
    operator = "Scan" if moved == "layer_0/lstm" else "Tanh"
    wrong = [*(node for node in placed if node.name != moved), PlacedNode(moved, operator, CPU)]
    assert placement_summary(content, wrong, "cuda")["elsewhere"] == [f"{moved} ({operator})"]


def test_only_recurrent_nodes_must_be_placed_and_recorded(scan: Path) -> None:
    placed = [
        PlacedNode(node.name, node.operator, CPU if node.operator in ("Concat", "Squeeze", "Gemm") else CUDA)
        for node in OnnxSession(scan).placement()
        if "/step/" not in node.name
    ]
    assert placement_summary(scan.read_bytes(), placed, "cuda")["elsewhere"] == []
    unrecorded = [node for node in placed if node.operator != "Scan"]
    assert placement_summary(scan.read_bytes(), unrecorded, "cuda")["elsewhere"] == ["layer_0/lstm"]


# --- failures of a proof because of it --------------------------------------------------------------------------------


def result(**changes: Any) -> dict[str, Any]:
    base = {"name": "cuda strict", "provider": "cuda", "status": "passed", "reason": "", "recurrent": {CUDA: 14}}
    return {**base, "elsewhere": [], **changes}


def report(provider: dict[str, Any]) -> dict[str, Any]:
    return {"verdict": provider["status"], "reasons": [], "providers": [provider]}


ELSEWHERE = {"recurrent": {CPU: 5}, "elsewhere": [f"layer_{number}/gru (GRU)" for number in range(5)]}
GROWING = {"memcpy": [{"steps": 1, "nodes": 4}, {"steps": 200, "nodes": 402}]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ELSEWHERE,
            "not on cuda but on CPU: layer_0/gru (GRU), layer_1/gru (GRU), layer_2/gru (GRU) and 2 more; ",
        ),
        (GROWING, "memory is copied between devices 4 times at 1 steps and 402 times at 200; a node in a loop"),
    ],
)
def test_a_required_provider_fails(change: dict[str, Any], words: str) -> None:
    for status in ("passed", "ill-conditioned"):
        judged = report(result(**change, status=status))
        ProviderRequest(("cpu", "cuda"), ("cuda",)).enforce(judged)
        assert (judged["verdict"], judged["providers"][0]["status"]) == ("failed", "failed")
        assert judged["reasons"][0].startswith(f"cuda strict: {words}")
    untouched = report(result(**change))
    ProviderRequest(("cpu", "cuda")).enforce(untouched)
    assert (untouched["verdict"], untouched["reasons"]) == ("passed", [])


@pytest.mark.parametrize(
    "change",
    [{}, {"memcpy": [{"steps": 1, "nodes": 4}, {"steps": 200, "nodes": 4}]}, {"memcpy": []}],
)
def test_correct_placement_is_no_fault(change: dict[str, Any]) -> None:
    assert placement_fault(result(**change)) is None


def test_another_failure_keeps_its_reason() -> None:
    judged = report(result(**ELSEWHERE, status="failed", reason="numbers"))
    require_placement(judged, ["cuda"])
    assert judged["providers"][0]["reason"] == "numbers"


def test_a_proof_reports_placement(scan: Path, native: Path) -> None:
    model = make_model("gru_before", hidden_size=8)
    proof = prove(model, native, sequences(draw(4, 6)), ["cpu"], [], lambda _: None)
    ProviderRequest(("cpu",), ("cpu",)).enforce(proof)
    assert proof["verdict"] == "passed"
    cpu = proof["providers"][0]
    assert (cpu["recurrent"], cpu["elsewhere"]) == ({CPU: 1}, [])
    assert cpu["repeats"] == {"runs": 10, "identical": True, "largest_difference": 0.0}
    assert "memcpy" not in cpu


# --- copies, repeats, distances ---------------------------------------------------------------------------------------


def test_a_real_profile_has_no_copies_and_nothing_is_left(scan: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert device_copies(scan, "cpu", draw(1, 9)) == [{"steps": 1, "nodes": 0}, {"steps": 9, "nodes": 0}]
    assert list(tmp_path.iterdir()) == []


def test_a_real_profile_has_an_event_for_each_run_of_a_node(scan: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """The count works: the CPU's products in the loop, four a step, stand in for copies here."""
    monkeypatch.setattr("zoo.proof.observed.COPIES", ("Gemm", "FusedGemm"))
    assert device_copies(scan, "cpu", draw(1, 9)) == [{"steps": 1, "nodes": 4}, {"steps": 9, "nodes": 36}]


def test_copies_among_other_events() -> None:
    """Copies are counted in events as ONNX Runtime 1.31 writes them; a copy in a loop runs once a step."""
    node = {"cat": "Node", "name": "a_kernel_time", "args": {"op_name": "Scan", "provider": CUDA}}
    copied = [{"cat": "Node", "name": f"Memcpy_token_{n}", "args": {"op_name": op}} for n, op in enumerate(COPIES)]
    session = {"cat": "Session", "name": "MemcpyToHost", "args": {"op_name": "MemcpyToHost"}}
    assert count_copies([node, *copied, session, {"cat": "Node"}, *copied]) == 4


class Wavering:
    """A session whose third run gives a slightly different output."""

    def __init__(self, *, wavers: bool) -> None:
        self.runs, self.wavers = 0, wavers

    def run(self, *_: Any) -> dict[str, Any]:
        self.runs += 1
        return {"y": np.array([np.nan, np.inf, 1 + (0.25 if self.wavers and self.runs == 3 else 0)], np.float32)}


@pytest.mark.parametrize(("wavers", "difference"), [(False, 0.0), (True, 0.25)])
def test_ten_runs(wavers: bool, difference: float) -> None:
    session: Any = Wavering(wavers=wavers)
    assert repeatability(session) == {"runs": 10, "identical": not wavers, "largest_difference": difference}
    assert session.runs == 10


def test_distances_are_in_units_of_the_budget() -> None:
    expected = [{"y": Expected(np.array([[1.0, 2.0]]), np.array([1e-6]))}]
    budget = expected[0]["y"].budget[0]
    exact = [{"y": np.array([[1.0, 2.0]], np.float32)}]
    shifted = [{"y": np.array([[1.0, 2.0 + 3 * budget]], np.float32)}]
    assert largest_over_budget(expected, exact) == 0
    assert largest_over_budget(expected, shifted) == pytest.approx(3, rel=0.05)
    assert difference_over_budget(expected, exact, exact) == 0
    assert difference_over_budget(expected, shifted, exact) == pytest.approx(3, rel=0.05)


def test_the_case_that_is_repeated_uses_threads() -> None:
    """It has several rows and at least 256 steps over all of them; where none has, it is the largest."""

    def case(batch: int, time: int) -> Case:
        return Case(batch, time, "data", np.zeros((batch, time, 1), np.float32))

    assert repeated_case([case(1, 900), case(2, 100), case(3, 100), case(64, 28)]).batch == 3
    assert repeated_case([case(1, 1), case(1, 200), case(2, 7)]).time == 200


def test_runs_that_differ_fail_on_the_cpu_alone() -> None:
    differ = {"runs": 10, "identical": False, "largest_difference": 0.25}
    reason = "10 runs of one input differ by up to 0.25, and must be identical on the CPU"
    assert repeats_fault(differ, "cpu") == reason
    assert repeats_fault(differ, "cuda") == ""
    assert repeats_fault({**differ, "identical": True}, "cpu") == ""


# --- the prediction ---------------------------------------------------------------------------------------------------


def rnn(operator: str, *, inputs: int = 3, **attributes: Any) -> ir.Node:
    values = [ir.Value(name=f"v{number}") for number in range(inputs)]
    return ir.node(operator, values, {"hidden_size": 4, **attributes})


@pytest.mark.parametrize(
    ("node", "condition"),
    [
        (rnn("LSTM"), None),
        (rnn("LSTM", activations=["sigmoid", "Tanh", "TANH"] * 2, direction="bidirectional"), None),
        (rnn("LSTM", activations=["HardSigmoid", "Tanh", "Tanh"]), "other activations"),
        (rnn("LSTM", activation_alpha=[0.2]), "activation_alpha"),
        (rnn("LSTM", activation_beta=[0.2]), "activation_beta"),
        (rnn("LSTM", clip=3.0), "clip"),
        (rnn("LSTM", input_forget=1), "input_forget=1"),
        (rnn("LSTM", input_forget=0), None),
        (rnn("LSTM", inputs=8), "peepholes"),
        (rnn("LSTM", inputs=7), None),
        (rnn("LSTM", layout=1), "layout=1"),
        (rnn("RNN"), None),
        (rnn("RNN", activations=["Tanh"]), None),
        (rnn("RNN", activations=["Tanh", "Relu"]), "other activations"),
        (rnn("GRU"), "linear_before_reset=0"),
        (rnn("GRU", linear_before_reset=0), "linear_before_reset=0"),
        (rnn("GRU", linear_before_reset=1), None),
        (rnn("DynamicQuantizeLSTM"), "never"),
        (ir.node("Elu", []), None),
        (ir.node("Atan", []), "never"),
    ],
)
def test_each_condition(node: ir.Node, condition: str | None) -> None:
    """Each condition was tested with the CUDA provider of ONNX Runtime 1.31.1."""
    rule = node_reason(node, 20)
    assert (rule.condition if rule else None) == condition


def test_opsets_matter() -> None:
    """A kernel of an older version is not used for a newer one: Elu changed in 22; loops have kernels for all."""
    assert node_reason(ir.node("Elu", []), 21) is None
    rule = node_reason(ir.node("Elu", []), 22)
    assert rule is not None
    assert rule.condition == "from opset 22 on"
    for operator in ("Loop", "Scan", "If", "Identity"):
        assert all(node_reason(ir.node(operator, []), opset) is None for opset in (20, 21, 23, 24, 25))


def test_the_table_does_not_contradict_itself() -> None:
    assert not KERNELS & {name for name, opsets in NO_KERNEL.items() if opsets == "never"}


def test_a_file_is_predicted_with_its_bodies(scan: Path, native: Path) -> None:
    predicted = {node.name: node for node in OnnxExporter().placement(scan)}
    assert predicted.keys() == {node.name for node in nodes_of(scan.read_bytes())}
    assert predicted["layer_0/lstm/step/candidate"].loop == "layer_0/lstm"
    elsewhere = {name for name, node in predicted.items() if node.provider != "cuda"}
    assert elsewhere == {
        "lengths/time/scalar",
        "state_0_h/initial/shape",
        "state_0_c/initial/shape",
    }  # as the CUDA provider of 1.31.1 places them
    gru = next(node for node in OnnxExporter().placement(native) if node.operator == "GRU")
    assert (gru.provider, gru.loop) == ("cpu", "")
    assert gru.reason.startswith("linear_before_reset=0: ")
    assert gru.source.startswith("https://github.com/microsoft/onnxruntime/")


def test_actual_placement_is_compared_with_the_prediction() -> None:
    predicted = [
        zoo.PredictedNode("a", "Gemm", "cuda"),
        zoo.PredictedNode("b", "GRU", "cpu"),
        zoo.PredictedNode("c", "Odd", "unknown"),
    ]
    actual = [{"name": name, "operator": "?", "provider": CUDA} for name in "abcd"]
    judged = report(result(placement=actual))
    add_unpredicted(judged, predicted)
    assert judged["providers"][0]["unpredicted"] == [
        {"name": "b", "operator": "?", "provider": CUDA, "predicted": "cpu"},
        {"name": "c", "operator": "?", "provider": CUDA, "predicted": "unknown"},
    ]


def test_the_command(native: Path) -> None:
    outcome = run_zoo("inspect", native, "--placement")
    assert outcome.exit_code == 0
    lines = [" ".join(line.split()) for line in outcome.stdout.splitlines()]
    assert "cpu GRU layer_0/gru" in lines
    assert "cuda Gemm head/linear" in lines
    assert "1 node: linear_before_reset=0: cuDNN's GRU resets after the product only" in lines


@pytest.mark.parametrize(
    ("kind", "operator"), [("gru_before", "Scan"), ("rnn_relu", "Scan"), ("rnn_tanh", "RNN"), ("gru_after", "GRU")]
)
def test_operators_without_a_cuda_kernel_become_a_scan(kind: str, operator: str, tmp_path: Path) -> None:
    for streaming in (False, True):
        path = write(make_model(kind, hidden_size=8, pooling=None), tmp_path, target="cuda", streaming=streaming)
        recurrent_nodes = [node for node in OnnxExporter().placement(path) if node.operator in ("Scan", "RNN", "GRU")]
        assert [(node.operator, node.provider) for node in recurrent_nodes] == [(operator, "cuda")]


# --- the report -------------------------------------------------------------------------------------------------------


def test_the_report_on_the_terminal() -> None:
    observed = {
        "outputs": [{}],
        "repeats": {"runs": 10, "identical": False, "largest_difference": 1.5e-8},
        "tf32": {"seen": True, "over_budget": 60.25, "override": "1"},
        "against_cpu": 59.9,
        "memcpy": [{"steps": 1, "nodes": 4}, {"steps": 200, "nodes": 4}],
        "unpredicted": [{}],
    }
    lines = list(_observations(result(**observed, **ELSEWHERE)))
    assert lines == [
        "10 runs of one input differ by up to 1.5e-08",
        "largest difference from the CPU provider: 60 of the float32 budget",
        "TF32 detected: error 60.2 times the float32 budget; NVIDIA_TF32_OVERRIDE=1",
        "copies between devices: 4 at 1 steps, 4 at 200 steps",
        "recurrent nodes on another provider: 5, such as layer_0/gru (GRU)",
        "nodes not placed as predicted: 1; --json lists them",
    ]
    tame = {**observed, "tf32": {"seen": False, "over_budget": 0.3, "override": None}}
    assert "TF32 not detected" in list(_observations(result(**tame)))
    assert list(_observations({**result(**{**observed, "repeats": None}), "provider": "cpu"})) == []
