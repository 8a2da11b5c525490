"""The inputs of a proof beside the listed ones: the data's own shapes, drawn ones, extremes, and every token."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import zoo
from tests.support.command import run_zoo
from tests.support.models import FEATURES, draw, make_model, sequences, write
from zoo.parity import Comparison, Expected, Status
from zoo.proof.cases import Case, Extent, LengthsKind
from zoo.proof.domain import Domain
from zoo.proof.further import KINDS, further_rows
from zoo.proof.outcomes import Outcome, judged_steps, reason_beyond, summary
from zoo.proof.prove import FileProperties, cases_for, prove
from zoo.proof.shapes import (
    FEWEST_STEPS,
    LARGEST_BATCH,
    LONGEST,
    ROW_STEPS,
    WORK,
    OwnLengths,
    different_rows,
    drawn_shapes,
    log_uniform,
    own_shapes,
)
from zoo.proof.streaming import chunk_cases, prove_streaming
from zoo.report.proofs import _case
from zoo.runtime.model import BATCH
from zoo.runtime.session import OnnxSession

SEEDS = st.integers(0, 2**64 - 1)


def further(
    seed: int, x: NDArray[Any], tokens: int = 0, lengths: Sequence[int] | None = None, **options: Any
) -> list[Case]:
    extent = Extent(seed, options.pop("thorough", False), options.pop("batches", ()))
    options = {"with_lengths": lengths is not None, **options}
    return [
        case for rows in further_rows(sequences(x, lengths), Domain(tokens), extent, **options) for case in rows.whole()
    ]


def row_bytes(case: Case) -> list[bytes]:
    """Return the bytes of everything that a row consists of."""
    parts = [case.x, *([] if case.lengths is None else [case.lengths]), *(case.states or {}).values()]
    return [b"".join(part[row].tobytes() for part in parts) for row in range(case.batch)]


def same(first: Case, second: Case) -> bool:
    return first.to_dict() == second.to_dict() and row_bytes(first) == row_bytes(second)


# --- shapes -----------------------------------------------------------------------------------------------------------


@given(SEEDS, st.integers(1, 5000), st.booleans())
def test_drawn_shapes_stay_in_their_range_and_bound_their_work(seed: int, longest: int, thorough: bool) -> None:
    shapes = drawn_shapes(longest, np.random.default_rng(seed), thorough=thorough)
    assert len(shapes) == (80 if thorough else 8)
    assert all(1 <= batch <= LARGEST_BATCH and 1 <= time <= LONGEST * longest for batch, time in shapes)
    bound = WORK * max(longest, FEWEST_STEPS) * len(shapes) // 8
    assert sum(batch * time for batch, time in shapes) <= bound
    if longest >= 50:  # the number of strata above twice the longest
        strata = int(np.ceil(len(shapes) * np.log(2) / np.log(LONGEST * longest + 1))) + 1
        assert sum(time > 2 * longest for _, time in shapes) <= strata


@given(SEEDS, st.integers(1, 10_000), st.integers(1, 80))
def test_numbers_are_drawn_from_each_part_of_the_range(seed: int, largest: int, count: int) -> None:
    numbers = np.sort(log_uniform(largest, count, np.random.default_rng(seed)))
    edges = (largest + 1) ** (np.arange(count + 1) / count)
    assert all(
        np.floor(low - 1e-6) <= value <= high for low, value, high in zip(edges, numbers, edges[1:], strict=False)
    )


@given(st.integers(1, 256), st.integers(1, 2000), st.integers(1, 2))
def test_few_different_rows(batch: int, steps: int, least: int) -> None:
    rows = different_rows(batch, steps, least=least)
    assert min(batch, least) <= rows <= min(batch, 8)
    assert rows * steps <= max(ROW_STEPS, min(batch, least) * steps)


def test_the_data_give_their_own_shapes() -> None:
    sample = sequences(draw(20, 8), [3] * 5 + [5] * 10 + [8] * 5)
    lengths = OwnLengths.of(sample)
    assert lengths == (3, 5, 8)
    assert own_shapes(lengths, (1, 32, 64)) == [(1, 5), (32, 5), (64, 5), (3, 3), (3, 8)]
    assert OwnLengths.of(sequences(draw(20, 8))) == (8, 8, 8)
    cases = further(0, draw(20, 8), lengths=[3] * 5 + [5] * 10 + [8] * 5, batches=(32,))
    shapes = [(case.batch, case.time) for case in cases]
    assert shapes[:5] == [(1, 5), (32, 5), (BATCH, 5), (3, 3), (3, 8)]


# --- inputs -----------------------------------------------------------------------------------------------------------


@given(SEEDS, st.booleans())
def test_the_same_seed_gives_the_same_cases(seed: int, with_lengths: bool) -> None:
    lengths = [8] * 20 if with_lengths else None
    first, second = (further(seed, draw(20, 8), lengths=lengths) for _ in range(2))
    assert len(first) == len(second)
    assert all(map(same, first, second))


def test_another_file_gives_other_shapes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    first, second = (Extent().seeded(tmp_path / name) for name in "ab")
    assert first.seed == int.from_bytes(bytes.fromhex("ca978112ca1bbdca"), "big")  # SHA-256 of "a" begins so
    assert first != second
    assert Extent(3).seeded(tmp_path / "a") == Extent(3)
    shapes = [
        [(case.batch, case.time) for case in further(extent.seed or 0, draw(20, 8))] for extent in (first, second)
    ]
    assert shapes[0] != shapes[1]


@given(SEEDS, st.integers(1, 40))
def test_rows_are_few_and_equal_in_every_byte(seed: int, time: int) -> None:
    for case in further(seed, draw(20, time), lengths=[time] * 10 + [max(1, time // 2)] * 10):
        assert case.x.shape == (case.batch, case.time, FEATURES)
        assert case.x.dtype == np.float32
        assert len(set(row_bytes(case))) <= 8


@given(SEEDS)
def test_extreme_inputs_reach_ten_times_the_largest_magnitude(seed: int) -> None:
    x = draw(20, 8)
    cases = [case for case in further(seed, x) if case.inputs == "extreme"]
    assert len(cases) >= 2
    for case in cases:
        assert np.nanmax(np.abs(case.x)) == np.float32(10 * np.abs(x).max())
        assert np.isfinite(case.x).all()


def test_extremes_stay_within_float32() -> None:
    cases = [case for case in further(0, np.full((3, 4, 2), 3e38, np.float32)) if case.inputs == "extreme"]
    assert all(np.isfinite(case.x).all() for case in cases)


@given(SEEDS, st.integers(1, 2000), st.booleans(), st.sampled_from([None, 3, 20]))
def test_every_token_stands_in_the_proof(seed: int, tokens: int, with_lengths: bool, steps: int | None) -> None:
    x = np.random.default_rng(0).integers(tokens, size=(10, 6))
    cases = further(seed, x, tokens, lengths=[6] * 10 if with_lengths else None, steps=steps)
    chosen = [case for case in cases if case.inputs == "vocabulary"]
    assert {int(token) for case in chosen for token in case.x.flat} == set(range(tokens))
    assert sum(case.x.size for case in chosen) < tokens + (steps or 4)
    assert all(case.batch <= LARGEST_BATCH for case in chosen)
    assert steps is None or {case.time for case in cases} == {steps}
    assert all(case.x.min() >= 0 and case.x.max() < tokens for case in cases)
    assert {case.inputs for case in cases} == {"data", "wide", "vocabulary"}


def holds(kind: LengthsKind | None, lengths: NDArray[np.int64], time: int) -> bool:
    """Whether lengths are of a kind."""
    full = lengths == time
    return {
        "equal": bool(full.all()),
        "ones": bool((lengths == 1).all()),
        "short": not full.any(),
        "unsorted": bool(full.any() and not full[0]),
        "mixed": bool(full[0] and (np.diff(lengths) <= 0).all()),
    }[str(kind)]


@given(SEEDS)
def test_lengths_are_of_every_kind(seed: int) -> None:
    drawn = [case for case in further(seed, draw(20, 28), lengths=[28] * 20) if case.kind is not None]
    assert len(drawn) == 8
    assert {case.kind for case in drawn} == set(KINDS)
    for case in drawn:
        assert case.lengths is not None
        assert holds(case.kind, case.lengths, case.time)
        padding = np.arange(case.time) >= case.lengths[:, None]
        assert np.array_equal(np.isnan(case.x), np.broadcast_to(padding[..., None], case.x.shape))


def test_thorough_draws_ten_times_as_many() -> None:
    usual, thorough = (further(0, draw(20, 8), thorough=thorough) for thorough in (False, True))
    assert len(thorough) - len(usual) == 72


def test_random_states_are_drawn_for_rows_and_repeated_with_them() -> None:
    model = make_model("gru_after", hidden_size=4)
    cases = cases_for(model, sequences(draw(20, 8)), FileProperties(states=True))
    random = [case for case in cases if case.states]
    assert {case.inputs for case in random} == {"data"}
    assert any(case.drawn and case.batch > 8 for case in random)
    assert all(len(set(row_bytes(case))) <= 8 for case in random)


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_chunks_of_streams_are_drawn(seed: int) -> None:
    model = make_model("lstm", hidden_size=4, pooling=None)
    cases = chunk_cases(model, sequences(draw(20, 20)), Extent(seed))
    assert all(case.chunk is not None and 1 <= case.chunk <= case.time for case in cases)
    assert {2, 3, 20} <= {case.chunk for case in cases if not case.drawn}
    changing = [case for case in cases if case.turns]
    assert changing
    assert all(case.chunk == max(case.turns) and len(set(case.turns)) > 1 for case in changing)
    assert all(
        same(a, b) for a, b in zip(cases, chunk_cases(model, sequences(draw(20, 20)), Extent(seed)), strict=True)
    )


def test_some_streams_are_longer_than_the_listed_ones() -> None:
    model = make_model("lstm", hidden_size=4, pooling=None)
    longest = [max(c.time for c in chunk_cases(model, sequences(draw(5, 8)), Extent(seed))) for seed in range(20)]
    assert 0 < sum(time > 200 for time in longest) < 20
    assert max(case.time for case in chunk_cases(model, sequences(draw(5, 8)), Extent(0, thorough=True))) > 200


# --- verdicts ---------------------------------------------------------------------------------------------------------


def outcome(time: int, status: Status, inputs: Any = "data", *, drawn: bool = False) -> Outcome:
    case = Case(1, time, inputs, np.zeros((1, time, 1), np.float32), drawn=drawn)
    comparison = Comparison(status, f"{status} at {time}", 0.0, 0.0, 0.0, 1.0, np.zeros(1))
    return Outcome(case, Expected(np.ones((1, 1)), np.zeros(1)), comparison, comparison)


def test_extremes_without_a_verdict_are_left_out() -> None:
    """A model is not ill-conditioned because of inputs far beyond its data; a wrong file fails on them all the same."""
    usual = [outcome(1, "passed"), outcome(28, "passed"), outcome(5, "ill-conditioned", "extreme")]
    assert judged_steps([usual], 8) is None
    result = summary("y", usual, None, state=True)
    assert (result["status"], result["ill_conditioned_cases"], result["extremes_not_judged"]) == ("passed", 0, 1)
    assert summary("y", [*usual, outcome(5, "failed", "extreme")], None, state=True)["status"] == "failed"
    beyond = [*usual, outcome(50, "ill-conditioned")]
    assert judged_steps([beyond], 8) == 28
    assert reason_beyond({"y": beyond}).startswith("y: ill-conditioned at 50 (")


def test_drawn_shapes_do_not_give_the_number_of_judged_steps() -> None:
    listed = [outcome(1, "passed"), outcome(28, "passed"), outcome(50, "ill-conditioned")]
    assert judged_steps([[*listed, outcome(37, "passed", drawn=True)]], 8) == 28
    assert judged_steps([[*listed, outcome(20, "ill-conditioned", drawn=True)]], 1) == 1


def test_extremes_are_no_evidence_that_an_output_depends_on_its_input(tmp_path: Path) -> None:
    """Units that are dead within three times the data's range, and alive at ten times its largest magnitude."""
    model = make_model("rnn_relu", hidden_size=8)
    state = model.state_dict()
    for name, value in state.items():
        if name.endswith("x2h.weight"):
            value.fill_(0.0)
            value[:, 0] = 1.0
        elif name.endswith("x2h.bias"):
            value.fill_(-10.0)  # the largest of the wide inputs is 5 deviations above the mean
        elif name.endswith("h2h.weight"):
            value.zero_()
    report = prove(model, write(model, tmp_path), sequences(draw(64, 8)), ["cpu"], [], lambda *_: None)
    assert report["verdict"] == "inconclusive", report["reasons"]


def test_a_fault_beyond_the_wide_inputs_is_found(tmp_path: Path) -> None:
    """Inputs are clipped to three times the data's range."""
    import onnx

    model = make_model("gru_after")
    path = write(model, tmp_path)
    file = onnx.load(path)
    for node in file.graph.node:
        node.input[:] = ["clipped" if name == "x" else name for name in node.input]
    file.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.array(bound, np.float32), name) for name, bound in (("low", -16), ("high", 32))
    )
    file.graph.node.insert(0, onnx.helper.make_node("Clip", ["x", "low", "high"], ["clipped"], "clip"))
    onnx.save(file, path)
    report = prove(model, path, sequences(draw(64, 8)), ["cpu"], [], lambda *_: None)
    assert report["verdict"] == "failed"
    assert {output["worst_case"]["inputs"] for output in report["providers"][0]["outputs"]} == {"extreme"}


def test_runs_that_differ_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise that is far smaller than the budget, in one run of ten."""
    runs = iter(range(10_000))
    run = OnnxSession.run

    def noisy(self: OnnxSession, *arguments: Any, **keywords: Any) -> dict[str, NDArray[Any]]:
        outputs = run(self, *arguments, **keywords)
        if next(runs) % 10 == 7:
            outputs["logits"] = np.nextafter(outputs["logits"], np.float32(np.inf))
        return outputs

    model = make_model("gru_after")
    monkeypatch.setattr(OnnxSession, "run", noisy)
    report = prove(model, write(model, tmp_path), sequences(draw(64, 8)), ["cpu"], [], lambda *_: None)
    assert report["verdict"] == "failed"
    assert report["reasons"][0].startswith("cpu: 10 runs of one input differ by up to ")
    assert report["reasons"][0].endswith(", and must be identical on the CPU")
    streaming = make_model("gru_after", pooling=None)
    path = write(streaming, tmp_path, streaming=True)
    report = prove_streaming(streaming, path, sequences(draw(64, 8)), ["cpu"], [], lambda *_: None)
    assert "must be identical on the CPU" in report["reasons"][0]


# --- reports and commands ---------------------------------------------------------------------------------------------


def test_the_report_has_the_seed_and_every_case(tmp_path: Path) -> None:
    model = make_model("gru_after")
    path, extent = write(model, tmp_path), Extent(5, batches=(7,))
    report = prove(model, path, sequences(draw(64, 8)), ["cpu"], [], lambda *_: None, extent=extent)
    cases = cases_for(model, sequences(draw(64, 8)), FileProperties(), extent=extent)
    assert (report["seed"], report["thorough"]) == (5, False)
    assert report["cases"] == [case.to_dict() for case in cases]
    assert {"batch": 7, "time": 8, "inputs": "data", "drawn": True} in report["cases"]
    again = prove(model, path, sequences(draw(64, 8)), ["cpu"], [], lambda *_: None)
    assert again["seed"] == Extent().seeded(path).seed


def test_a_case_in_words() -> None:
    x = np.zeros((2, 9, 1), np.float32)
    case = Case(2, 9, "extreme", x, np.array([3, 9]), kind="unsorted", drawn=True)
    assert str(case) == "batch 2, 9 steps, unsorted lengths, extreme inputs"
    assert str(Case(2, 9, "data", x, chunk=4, turns=(4, 1))) == "batch 2, 9 steps in chunks of 4 and 1, data inputs"
    assert Case(2, 9, "data", x, chunk=4, turns=(4, 1)).to_dict()["turns"] == [4, 1]
    assert _case(case.to_dict()) == "batch 2, 9 steps, unsorted lengths, extreme"
    turns = Case(2, 9, "data", x, chunk=4, turns=(4, 1), states={})
    assert _case(turns.to_dict()) == "batch 2, 9 steps, chunks of 4 and 1, data, initial states"


def test_seed_and_thorough_of_zoo_check(short_run: Path) -> None:
    run_zoo("export", short_run, "--onnx", "--provider", "cpu")
    outcome = run_zoo("check", short_run, "--provider", "cpu", "--seed", "11")
    lines = outcome.stdout.splitlines()
    assert lines[1].endswith(" steps")
    assert "repeat with" not in outcome.stdout
    report = json.loads((short_run / "onnx" / "parity.json").read_text())
    assert (report["seed"], report["thorough"]) == (11, False)
    number = len(report["cases"])
    assert lines[1].startswith(f"{number} inputs of ")
    thorough = json.loads(run_zoo("check", short_run, "--provider", "cpu", "--thorough", "--json").stdout)
    assert thorough["thorough"]
    assert len(thorough["cases"]) == number + 72
    refused = run_zoo("check", "lstm", "--matrix", "--seed", "3")
    assert refused.exit_code == 2
    assert "--matrix: has shapes of its own; leave --seed and --thorough out" in refused.stderr


def test_a_proof_that_fails_prints_how_to_repeat_it(short_run: Path) -> None:
    from zoo.cli.verdict import _inputs

    case = {"batch": 3, "time": 8, "inputs": "data"}
    report = {"verdict": "failed", "seed": 12, "thorough": True, "cases": [case, {**case, "batch": 9}, case]}
    assert _inputs(report).splitlines() == [
        "3 inputs of 2 shapes, up to batch 9 and 8 steps",
        "repeat with --seed 12 --thorough",
    ]
    assert "repeat" not in _inputs({**report, "verdict": "passed"})


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.support.runs import build_run

    return build_run(tmp_path_factory.mktemp("runs"), "rnn")


def test_a_model_of_tokens_passes(tmp_path: Path) -> None:
    model = make_model("gru_after", encoder=zoo.Embedding(700, 3, 0.0), takes_lengths=True)
    x = np.random.default_rng(0).integers(700, size=(20, 8))
    report = prove(model, write(model, tmp_path), sequences(x, [8] * 20), ["cpu"], [], lambda *_: None)
    assert report["verdict"] == "passed", report["reasons"]
    assert [case["batch"] for case in report["cases"] if case["inputs"] == "vocabulary"] == [175]
