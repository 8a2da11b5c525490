"""The matrix: a sample over ten cells passes, every setting is in it, and wrong files fail."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

import zoo
from tests.matrix.ten_cells import CELLS, SCANS, subject
from tests.plugins.stranger import MGUCell
from tests.support.builders import KINDS, make_stack
from tests.support.command import run_zoo
from tests.support.models import make_model, write
from tests.support.runs import build_run
from zoo.matrix.points import LENGTHS, SHAPES, Point, Subject, Variant, draw_points
from zoo.matrix.prove import STATUSES, group_by_variant, matrix, newest_opset, prove_points
from zoo.matrix.weights import recurrent
from zoo.parity import Array, judge
from zoo.plugins.registry import load_registry
from zoo.proof.cases import are_possible, draw_lengths
from zoo.proof.expectations import Expectations
from zoo.proof.outcomes import overall
from zoo.proof.passes import ONE_SIDED
from zoo.proof.prove import MODES
from zoo.runtime.session import OnnxSession
from zoo_onnx import OnnxExporter
from zoo_onnx.operators import GATES
from zoo_onnx.opset import newest

SETTINGS = ("cell", "direction", "layers", "bias", "states", "lengths", "weights", "opset", "shape")


@cache
def sample() -> list[Point]:
    return draw_points([subject(kind) for kind in CELLS], newest(), full=False)


# --- the sample over ten cells --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_parity_on_cpu(cell: str) -> None:
    """Of one cell: nothing fails, everything is judged at gain 1, and one export is refused where it must be."""
    points = [point for point in sample() if point.variant.subject.name == cell]
    rows = [row for group in group_by_variant(points) for row in prove_points(group, OnnxExporter(), MODES["cpu"])]
    assert len(rows) == len(points) >= 7
    assert [row for row in rows if row["status"] == "failed"] == []
    assert all(row["over_budget"] <= 1 for row in rows if row["status"] == "passed")
    refused = [row["reason"] for row in rows if row["status"] == "refused"]
    assert refused == ["opset 17: a cell's own step needs 18 or newer; leave opset out"] * (cell in SCANS)
    ill_conditioned = [row["weights"] for row in rows if row["status"] == "ill-conditioned"]
    assert "gain 1" not in ill_conditioned
    assert len(ill_conditioned) <= 1


# --- the points of the matrix ---------------------------------------------------------------------------------------


def settings(point: Point) -> dict[str, Any]:
    values = point.to_dict()
    return {name: values[name] for name in SETTINGS[:-1]} | {"shape": point.shape}


def test_the_sample_has_every_pair_of_the_whole() -> None:
    """For two native cells and a Scan, the latter without the option ``bias``."""
    subjects = [subject(kind) for kind in ("lstm", "gru_before", "mgu")]

    def pairs(full: bool) -> set[tuple[tuple[str, object], ...]]:
        result: set[tuple[tuple[str, object], ...]] = set()
        for point in draw_points(subjects, newest(), full=full):
            result.update(combinations(settings(point).items(), 2) if point.shape else ())
        return result

    whole = pairs(full=True)
    assert pairs(full=False) == whole
    assert {(("lengths", "short"), ("shape", (1, 7))), (("cell", "lstm"), ("opset", 17))} <= whole
    assert (("cell", "mgu"), ("opset", 17)) not in whole


def test_how_large_the_whole_is() -> None:
    """Its number of points: models with and without lengths, times their inputs, times opsets."""
    given_lengths = sum(are_possible(kind, *shape) for kind in LENGTHS[1:] for shape in SHAPES)
    assert given_lengths == 1 + 2 + 5 * 4
    models = 3 * 2 * 2 * 2 * 3
    whole = draw_points([subject("lstm")], newest(), full=True)
    assert len(set(whole)) == len(whole) == models * (len(SHAPES) + given_lengths) * 4
    scan = draw_points([subject("mgu")], newest(), full=True)
    assert len(scan) == models // 2 * (len(SHAPES) + given_lengths) * 3 + models // 2 * 2
    assert [point.opset for point in scan if point.shape is None] == [17] * models


def test_a_fixed_direction_stays_and_old_machines_have_fewer_opsets() -> None:
    chosen = load_registry().architectures["bilstm"]
    whole = draw_points([Subject.of("bilstm", chosen.layer, chosen.config, {"name": "bilstm"})], 21, full=True)
    assert {point.variant.direction for point in whole} == {"bidirectional"}
    assert {point.opset for point in whole} == {17, 20, 21}
    assert newest_opset(OnnxExporter(), subject("rnn_tanh")) == newest()


@given(st.sampled_from(LENGTHS[1:]), st.sampled_from(SHAPES))
def test_lengths_are_of_their_kind(kind: Any, shape: tuple[int, int]) -> None:
    if not are_possible(kind, *shape):
        return
    batch, steps = shape
    lengths = draw_lengths(kind, batch, steps)
    assert lengths is not None
    assert lengths.shape == (batch,)
    assert lengths.dtype == np.int64
    assert lengths.min() >= 1
    assert np.count_nonzero(lengths == steps) == {"equal": batch, "mixed": 1, "unsorted": 1, "short": 0}[kind]
    if kind == "mixed":
        assert np.all(np.diff(lengths) <= 0)
    if kind == "unsorted":
        assert lengths[-1] == steps


def test_the_padding_holds_nan_and_states_are_random() -> None:
    variant = Variant(subject("lstm"), "reverse", 1, True, True, "gain 1", True)
    case = variant.case(variant.model(), "short", (3, 28))
    assert case.lengths is not None
    assert np.array_equal(np.isnan(case.x).all(2), np.arange(28) >= case.lengths[:, None])
    assert case.states is not None
    assert sorted(case.states) == ["state_0_c", "state_0_h"]
    assert all(np.ptp(state, 0).all() for state in case.states.values())


# --- weights --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        *((kind, {"h2h.weight"}) for kind in KINDS),
        ("mgu", {"forget.weight", "candidate.weight"}),
        ("lstmp", {"r2h.weight"}),
        ("indrnn", {"u"}),
        ("clockwork", {"h2fast.weight", "slow2slow.weight"}),
        ("layer_norm_lstm", {"h2h.weight", "norm_h.weight"}),
        ("peephole_lstm", {"h2h.weight"}),
        ("ltc", set()),
        ("smoothing", set()),
    ],
)
def test_which_weights_act_on_the_state(kind: str, names: set[str]) -> None:
    for layer in make_stack(kind, num_layers=2).ordered_layers:
        (cell,) = layer.directed_cells
        masks = recurrent(cell)
        assert set(masks) == names
        assert all(mask.all() for mask in masks.values())


def test_which_columns_act_on_the_state() -> None:
    """In a matrix that input and state share, the columns of the state."""
    masks = recurrent(MGUCell(3, MGUCell.Config(hidden_size=5)))
    assert set(masks) == {"forget.weight", "candidate.weight"}
    for mask in masks.values():
        assert mask.any(0).tolist() == mask.all(0).tolist() == [False] * 3 + [True] * 5


def test_the_three_kinds_of_weights() -> None:
    variant = Variant(subject("gru_after"), "bidirectional", 3, True, False, "gain 1", False)
    drawn, amplified, numbered = (
        replace(variant, weights=weights).model().state_dict() for weights in ("gain 1", "gain 3", "gates")
    )
    for name, value in drawn.items():
        assert amplified[name].equal(3 * value if name.endswith("h2h.weight") else value), name
        assert numbered[name].equal(value) == (not name.startswith("stack.")), name
    for layer in range(3):
        cells = [value for name, value in numbered.items() if name.startswith(f"stack.layers.{layer}.")]
        blocks = [block * block[0].numel() for value in cells for block in value.split(8)]
        assert all(block.eq(block.flatten()[0]).all() for block in blocks)
        assert len({float(block.flatten()[0]) for block in blocks}) == len(blocks) == 2 * 4 * 3


# --- faults that it finds -------------------------------------------------------------------------------------------


def swapped(array: Array, first: int, second: int, blocks: int) -> Array:
    """Return a weight with two gate blocks of the first direction exchanged."""
    parts = np.split(array[0], blocks)
    parts[first], parts[second] = parts[second], parts[first]
    return np.concatenate([np.concatenate(parts)[None], array[1:]])


def swaps(model: onnx.ModelProto, gates: int) -> Iterator[tuple[str, int, int]]:
    """Exchange each pair of gate blocks of W, R and B in place, and yield the part and the two indices."""
    for tensor in model.graph.initializer:
        part = tensor.name.rpartition("/")[2]
        if part not in ("W", "R", "B"):
            continue
        blocks, whole = (2 if part == "B" else 1) * gates, numpy_helper.to_array(tensor)
        for first, second in combinations(range(blocks), 2):
            tensor.CopyFrom(numpy_helper.from_array(swapped(whole, first, second, blocks), tensor.name))
            yield part, first, second
        tensor.CopyFrom(numpy_helper.from_array(whole, tensor.name))


@pytest.mark.parametrize("kind", ["lstm", "gru_after", "gru_before"])
def test_any_two_gate_blocks_that_change_places_are_found(kind: str, tmp_path: Path) -> None:
    """Except the two biases of a gate where they are added, since their exchange changes nothing."""
    variant = Variant(subject(kind), "bidirectional", 1, True, True, "gates", False)
    model = variant.model()
    expectations = Expectations(model, [variant.case(model, "none", (3, 28))])
    (case,), (expected,) = expectations.cases, expectations.at("float32")
    path = write(model, tmp_path, lowering="native", states=True)
    order = GATES["LSTM" if kind == "lstm" else "GRU"]
    file = onnx.load(path)
    statuses: dict[tuple[str, int, int], str] = {}
    for swap in swaps(file, len(order)):
        session = OnnxSession(path, content=file.SerializeToString())
        results = judge(expected, session.run(case.x, None, case.states))
        statuses[swap] = overall([result.status for result in results.values()])
    assert len(statuses) == {4: 6 + 6 + 28, 3: 3 + 3 + 15}[len(order)]
    added = [gate for gate in order if not (kind == "gru_after" and gate == "h")]
    same = {("B", order.index(gate), order.index(gate) + len(order)) for gate in added}
    assert {swap for swap, status in statuses.items() if status != "failed"} == same


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].has_kernel])
def test_fused_and_cell_make_the_same_file(kind: str, tmp_path: Path) -> None:
    """Bit-identical from the same weights, in both directions, so that the matrix need not contain both."""
    files = []
    for implementation in ("fused", "cell"):
        model = make_model(kind, direction="bidirectional", num_layers=2, implementation=implementation)
        assert {layer.fused for layer in model.layers()} == {implementation == "fused"}
        files.append(write(model, tmp_path, lowering="native").read_bytes())
    assert files[0] == files[1]


class Anything(zoo.Exporter):
    """Writes an empty file with any options."""

    name, suffix = "anything", ".txt"

    def export(self, model: zoo.Model, path: Path, metadata: Mapping[str, str], options: zoo.ExportOptions) -> None:
        path.write_text("")

    def annotate(self, path: Path, metadata: Mapping[str, str]) -> None:
        raise NotImplementedError

    def faults(self, path: Path) -> list[str]:
        return ["it is empty"]

    def inspect(self, path: Path) -> zoo.GraphSummary:
        raise NotImplementedError


def test_what_is_wrong_is_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing refusal, a refusal without need, a file with faults, and a wrong graph."""
    variant = Variant(subject("mgu"), "forward", 1, None, False, "gain 1", False)
    refusal, valid = Point(variant, "none", 17, None), Point(variant, "none", 20, (1, 7))
    written, empty = prove_points([refusal, valid], Anything(), MODES["cpu"])
    assert (written["status"], written["reason"]) == ("failed", "opset 17 must be refused, and was written")
    assert (empty["status"], empty["reason"]) == ("failed", "it is empty")
    monkeypatch.setattr("zoo_onnx.stack.OLDEST", 21)
    (refused,) = prove_points([valid], OnnxExporter(), MODES["cpu"])
    assert refused["status"] == "failed"
    assert refused["reason"].startswith("opset 20: a cell's own step needs 21 or newer")
    monkeypatch.setitem(GATES, "LSTM", "ifoc")
    lstm = Variant(subject("lstm"), "forward", 1, True, False, "gates", False)
    (wrong,) = prove_points([Point(lstm, "none", 20, (1, 7))], OnnxExporter(), MODES["cpu"])
    assert wrong["status"] == "failed"
    assert wrong["over_budget"] > 1000
    assert " times its budget" in wrong["reason"]


# --- zoo check --matrix ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_small")
def test_an_architecture() -> None:
    outcome = run_zoo("check", "lstm", "--matrix", "--provider", "cpu")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith("matrix of lstm: a sample with every pair of settings, ")
    assert " 0 failed, 0 ill-conditioned, 0 inconclusive, 0 refused; largest error that passed: 0." in outcome.stdout
    for heading in ("lengths:  none  mixed", "forward ", "reverse ", "bidirectional ", "1 x 1  3 x 5"):
        assert heading in outcome.stdout
    assert max(map(len, outcome.stdout.splitlines())) <= 120


@pytest.mark.usefixtures("_small")
def test_a_run(tmp_path: Path) -> None:
    """The cell keeps its options, no exported file is needed, and the report is written into the run."""
    run = build_run(tmp_path, "gru", "training.epochs=1", "architecture.reset=before")
    outcome = run_zoo("check", run, "--matrix", "--provider", "cpu", "--json")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    report = json.loads(outcome.stdout)
    assert report == json.loads((run / "onnx" / "matrix.json").read_text())
    assert (report["architecture"], report["full"], report["unavailable"]) == ("gru", False, {})
    assert report["counts"] == dict.fromkeys(STATUSES, 0) | {"passed": len(report["rows"])}
    assert 0 < report["worst"] <= 1
    assert {"torch", "onnx"} <= report["versions"].keys()
    assert {row["cell"] for row in report["rows"]} == {"gru"}
    assert {"status", "over_budget", "reason", "batch", "time", *SETTINGS[:-1]} <= report["rows"][0].keys()
    chosen = load_registry().architectures["gru"]
    made = Subject.of("gru", chosen.layer, chosen.config, {"name": "gru", "hidden_size": 9, "reset": "before"})
    assert made.config.model_dump()["reset"] == "before"


@pytest.mark.usefixtures("_small")
def test_a_failure_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each failure is one line; the exit code is 4."""
    monkeypatch.setitem(GATES, "LSTM", "ifoc")
    outcome = run_zoo("check", "lstm", "--matrix", "--provider", "cpu")
    assert outcome.exit_code == 4
    assert outcome.stderr.startswith("error: lstm: ")
    lines = [line for line in outcome.stdout.splitlines() if line.startswith("failed: ")]
    assert len(lines) > 10
    assert all(" lengths " in line and " times its budget" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("lstn", "--matrix"), 2, "lstn: is neither a run nor an architecture; did you mean 'lstm'?"),
        (("???", "--matrix"), 2, "???: is neither a run nor an architecture; they are bilstm, gru, lstm, rnn"),
        (("lstm", "--full"), 2, "--full: is for the matrix; add --matrix, or leave --full out"),
    ],
)
def test_called_wrongly(arguments: tuple[str, ...], code: int, line: str) -> None:
    outcome = run_zoo("check", *arguments)
    assert (outcome.exit_code, outcome.stderr) == (code, f"error: {line}\n")


def test_options_that_make_no_layer() -> None:
    chosen = load_registry().architectures["gru"]
    with pytest.raises(
        zoo.UsageError, match=r"^gru: reset: .*; the matrix gives it 3 features and hidden_size 8: change them with "
    ):
        Subject.of("gru", chosen.layer, chosen.config, {"name": "gru", "reset": "never"})


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.matrix.points.SHAPES", ((1, 1),))
    monkeypatch.setattr("zoo.matrix.points.LENGTHS", ("none",))
    calls: list[tuple[int, int]] = []
    report = matrix(
        subject("rnn_tanh"), OnnxExporter(), MODES["cpu"], lambda done, total: calls.append((done, total)), full=False
    )
    total = len(report["rows"])
    assert calls[0] == (0, total)
    assert calls[-1] == (total, total)
    assert calls == sorted(calls)


@pytest.mark.parametrize(
    ("kind", "states", "lengths", "shape"),
    [("rnn_tanh", False, "mixed", (3, 28)), ("rnn_relu", True, "none", (5, 50))],
    ids=["a library's tanh", "sums of equal products"],
)
def test_equal_units_raise_no_alarm(
    kind: str, states: bool, lengths: str, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equal units round alike, and the errors add up. Without one-sided draws, correct files would fail."""
    points = [
        point
        for point in draw_points([subject(kind, hidden_size=64)], 20, full=True)
        if (point.variant.weights, point.variant.layers, point.variant.direction) == ("gates", 3, "forward")
        and (point.variant.bias, point.variant.states) == (False, states)
        and (point.lengths, point.opset, point.shape) == (lengths, 20, shape)
    ]
    statuses = {}
    for one_sided in (0, ONE_SIDED):
        monkeypatch.setattr("zoo.proof.passes.ONE_SIDED", one_sided)
        (row,) = prove_points(points, OnnxExporter(), MODES["cpu"])
        statuses[one_sided] = row["status"]
    assert statuses == {0: "failed", ONE_SIDED: "passed"}


@pytest.mark.parametrize(
    ("hidden_size", "layers", "direction", "states", "shape"),
    [(64, 1, "forward", True, (2, 200)), (8, 3, "bidirectional", False, (16, 512))],
    ids=["float32's range, states as large", "float64's range"],
)
def test_a_model_that_overflows_has_no_verdict(
    hidden_size: int, layers: int, direction: str, states: bool, shape: tuple[int, int]
) -> None:
    """A ReLU RNN with gain 3 is neither passed nor failed."""
    points = [
        point
        for point in draw_points([subject("rnn_relu", hidden_size=hidden_size)], 20, full=True)
        if (point.variant.weights, point.variant.layers, point.variant.direction) == ("gain 3", layers, direction)
        and (point.variant.states, point.lengths, point.opset, point.shape) == (states, "none", 20, shape)
    ]
    rows = list(prove_points(points, OnnxExporter(), MODES["cpu"]))
    assert {row["status"] for row in rows} == {"ill-conditioned"}
    assert all("leaves the range of float32" in row["reason"] for row in rows)
