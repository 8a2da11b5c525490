"""The rule of parity, in NumPy alone: the budget, the gates, and what is never passed."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zoo.parity import PRECISIONS, Array, Expected, agreement, compare, judge

U = 2.0**-24
"""float32's unit roundoff: half of its spacing at 1, which is 2^-23 (IEEE 754-2019, table 3.5)."""


def expect(exact: object, sensitivity: object = 0.0, precision: str = "float32") -> Expected:
    return Expected(np.asarray(exact, np.float64), np.atleast_1d(np.asarray(sensitivity, np.float64)), precision)


def as_file(exact: object) -> Array:
    """What a perfect file would answer."""
    return np.asarray(exact, np.float32)


# --- the budget -----------------------------------------------------------------------------------------------------


def test_budget_is_eight_sensitivities_and_four_spacings_of_the_scale() -> None:
    expected = expect([[3.0, -5.0]], sensitivity=1e-6)
    assert expected.scale == 5
    assert expected.budget == pytest.approx([8 * 1e-6 + 4 * 2**-23 * 5], rel=1e-15)


def test_sensitivity_never_falls_with_time() -> None:
    """What was uncertain at one step stays so: the largest sensitivity so far counts."""
    expected = expect(np.ones((1, 4, 1)), sensitivity=[1e-6, 3e-6, 0.0, 2e-6])
    floor = 4 * 2**-23
    assert expected.budget == pytest.approx(8 * np.array([1e-6, 3e-6, 3e-6, 3e-6]) + floor, rel=1e-15)


@pytest.mark.parametrize(
    ("precision", "spacing"), [("float32", 2**-23), ("tf32", 2**-10), ("float16", 2**-10), ("bfloat16", 2**-7)]
)
def test_precisions(precision: str, spacing: float) -> None:
    """Significands of 24, 11, 11 and 8 bits."""
    assert 2 * PRECISIONS[precision].unit_roundoff == spacing
    assert expect([[1.0]], precision=precision).budget == pytest.approx([4 * spacing], rel=1e-15)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", np.float32), ("float16", np.float16)])
def test_precisions_are_those_of_numpy(precision: str, dtype: type[np.floating]) -> None:
    assert 2 * PRECISIONS[precision].unit_roundoff == np.finfo(dtype).eps
    assert 2.0 ** PRECISIONS[precision].max_exponent > float(np.finfo(dtype).max)
    assert 2.0 ** (PRECISIONS[precision].max_exponent - 1) < float(np.finfo(dtype).max)


@given(st.floats(-100, 100).filter(lambda value: abs(value) > 1e-3), st.floats(0, 5000), st.floats(0, 3))
def test_verdict_turns_at_the_budget(value: float, amplification: float, share: float) -> None:
    """An error of ``share`` budgets passes up to 1 and fails above it, and is reported as that share."""
    answer, sensitivity = np.float32(value), amplification * U * abs(value)
    # The file's answer has the spacing of float32, so the exact result is moved instead, and its scale with it.
    error = share * float(expect([[value]], sensitivity).budget[0])
    expected = expect([[float(answer) + error]], sensitivity)
    share = error / float(expected.budget[0])
    # The sum is rounded by at most 2^-53 of itself, and the budget is at least 2^-21 of it: 2^-32 of the budget.
    assume(abs(share - 1) > 2**-31)
    found = compare(expected, np.array([[answer]]))
    assert found.over_budget == pytest.approx(share, abs=2**-31)
    assert found.status == ("passed" if share <= 1 else "failed")


@pytest.mark.parametrize(("share", "status"), [(0.999, "passed"), (1.001, "failed")])
def test_just_below_and_just_above_the_budget(share: float, status: str) -> None:
    budget = float(expect([[1.0]]).budget[0])
    assert compare(expect([[1.0 - share * budget]]), as_file([[1.0]])).status == status


def test_only_the_step_that_is_wrong_fails() -> None:
    exact = np.ones((2, 5, 3))
    found = as_file(exact)
    found[0, 3, 2] += 1e-3
    early, late = np.full(5, 1e-7), np.array([1e-7, 1e-7, 1e-7, 5e-4, 5e-4])
    assert compare(expect(exact, early), found).status == "failed"
    assert compare(expect(exact, late), found).status == "passed"
    assert compare(expect(exact, late[::-1]), found).status == "passed"  # uncertain from the first step on


def test_failure_says_by_how_much() -> None:
    found = compare(expect([[1.0, 2.0]]), as_file([[1.0, 2.5]]))
    assert (found.status, found.max_error) == ("failed", 0.5)
    assert found.over_budget == pytest.approx(0.5 / (4 * 2**-23 * 2), rel=1e-12)
    assert found.reason == "error 5.00e-01 is 5.24e+05 times its budget"


# --- the gates ------------------------------------------------------------------------------------------------------

EXACT = [[0.25, 0.5], [0.75, 1.0]]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (np.zeros((2, 3), np.float32), r"shape \(2, 3\) instead of \(2, 2\)"),
        (np.zeros((2, 1), np.float32), r"shape \(2, 1\) instead of \(2, 2\)"),  # would broadcast
        (np.zeros((1, 2, 2), np.float32), r"shape \(1, 2, 2\) instead of \(2, 2\)"),
        (np.array(EXACT, np.float64), "dtype float64 instead of float32"),
        (np.array(EXACT, np.float16), "dtype float16 instead of float32"),
        (as_file([[0.25, np.nan], [0.75, 1.0]]), "NaN or infinity where"),
        (as_file([[0.25, 0.5], [np.inf, 1.0]]), "NaN or infinity where"),
    ],
)
def test_gates(answer: Array, reason: str) -> None:
    found = compare(expect(EXACT, sensitivity=1e-5), answer)
    assert found.status == "failed"
    assert found.over_budget == np.inf
    assert re.search(reason, found.reason)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_must_stand_in_the_same_place(value: float) -> None:
    exact = [[value, 0.5], [0.75, 1.0]]
    assert compare(expect(exact), as_file(exact)).status == "passed"
    for other in ([[0.5, value], [0.75, 1.0]], EXACT, [[-value if np.isinf(value) else np.inf, 0.5], [0.75, 1.0]]):
        assert compare(expect(exact), as_file(other)).status == "failed"
    wrong = as_file(exact)
    wrong[1, 1] = 2
    assert compare(expect(exact), wrong).status == "failed"  # NaN elsewhere hides nothing


def scores(tail: float, exact_tail: float = 0.0) -> tuple[Expected, Array]:
    """Of two sequences of 3 steps, the second one 1 step long; ``tail`` is what the file has beyond it."""
    exact = np.array([[[1.0, 2.0]] * 3, [[3.0, 4.0]] + [[exact_tail] * 2] * 2])
    found = exact.astype(np.float32)
    found[1, 2, 1] = tail
    padding = np.array([[False] * 3, [False, True, True]])
    return replace(expect(exact, [1e-6] * 3), padding=padding), found


@pytest.mark.parametrize("tail", [1e-30, -1e-7, np.nan, np.inf])
def test_beyond_a_length_scores_are_exactly_0(tail: float) -> None:
    """However large the budget is. Without lengths the same number is within it."""
    expected, found = scores(tail)
    judged = compare(expected, found)
    assert (judged.status, judged.over_budget) == ("failed", np.inf)
    assert judged.reason == "numbers beyond the lengths of sequences, where exactly 0 is expected"
    if np.isfinite(tail):
        assert compare(replace(expected, padding=None), found).status == "passed"


def test_beyond_a_length_what_is_not_0_has_a_budget() -> None:
    """Such as the softmax of scores that are 0."""
    for tail, exact, status in ((0.0, 0.0, "passed"), (-0.0, 0.0, "passed"), (1 / 3 + 1e-7, 1 / 3, "passed")):
        assert compare(*scores(tail, exact)).status == status
    assert compare(*scores(0.0, 1 / 3)).status == "failed"


def test_the_tail_is_judged_where_the_rest_cannot_be() -> None:
    expected, found = scores(1e-30)
    assert compare(replace(expected, sensitivity=np.ones(3)), found).status == "failed"


# --- integers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_])
def test_integers_must_be_equal_and_of_their_type(dtype: type[np.generic]) -> None:
    exact = np.array([[0], [1]]).astype(dtype)
    expected = Expected(exact, np.zeros(1))
    assert compare(expected, exact.copy()).status == "passed"
    wrong = compare(expected, exact[::-1].copy())
    assert (wrong.status, wrong.over_budget, wrong.max_error) == ("failed", np.inf, 1)
    assert wrong.reason == "error 1.00e+00 where it must be equal"
    assert compare(expected, exact.astype(np.float32)).reason == f"dtype float32 instead of {np.dtype(dtype)}"
    other = np.int64 if dtype is np.int32 else np.int32
    assert compare(expected, exact.astype(other)).status == "failed"


@pytest.mark.parametrize("number", [10**6, 2**53, 2**63 - 1])
def test_large_integers_that_are_off_by_one(number: int) -> None:
    """Float64 does not tell them apart, and one in a million is less than float32's rounding."""
    exact = np.array([[number]])
    expected = Expected(exact, np.zeros(1))
    assert compare(expected, exact - 1).status == "failed"
    assert compare(expected, exact).status == "passed"


def test_integers_made_of_rounded_numbers_cannot_be_judged() -> None:
    expected = Expected(np.array([[100_000]]), np.ones(1))
    for number in (100_000, 100_001):
        assert compare(expected, np.array([[number]])).status == "ill-conditioned"


# --- what is never passed -------------------------------------------------------------------------------------------


def test_amplification_is_counted_in_roundings_of_the_scale() -> None:
    assert expect([[2.0, 1.0]], sensitivity=6 * U).amplification == pytest.approx(3, rel=1e-15)
    assert expect([[0.0]], sensitivity=0.0).amplification == 0
    assert expect([[0.0]], sensitivity=1e-9).amplification == np.inf


@pytest.mark.parametrize("error", [0.0, 1e-3, 1.0])
def test_ill_conditioned_is_never_passed(error: float) -> None:
    """However well the file agrees: beyond 10,000 roundings of the output agreement is chance."""
    just, beyond = expect([[1.0]], 0.999e4 * U), expect([[1.0]], 1.001e4 * U)
    assert compare(just, as_file([[1.0]])).status == "passed"
    found = compare(beyond, as_file([[1.0 + error]]))
    assert (found.status, found.over_budget) == ("ill-conditioned", 0)
    assert found.reason == "the model amplifies rounding 10,010 times"


def test_a_score_near_zero_is_measured_in_the_size_that_it_usually_has() -> None:
    """The budget stays its own."""
    lonely = expect([[1e-6]], sensitivity=6 * U)
    assert lonely.amplification > 1e4
    assert lonely.judged_steps == 0
    known = replace(lonely, usual_scale=2.0)
    assert known.amplification == pytest.approx(3, rel=1e-15)
    assert known.judged_steps == 1
    assert known.budget == lonely.budget
    assert replace(lonely, usual_scale=1e-9).amplification == lonely.amplification


def test_steps_before_the_ill_conditioned_ones_are_judged() -> None:
    exact = np.ones((1, 4, 1))
    expected = expect(exact, sensitivity=[U, U, 1e-2, U])
    assert expected.judged_steps == 2
    found = as_file(exact)
    found[0, 3] = 5
    late = compare(expected, found)
    assert (late.status, late.max_error) == ("ill-conditioned", 4)
    assert late.reason.endswith(" times from step 2 on")
    found[0, 1] = 5
    assert compare(expected, found).status == "failed"


def test_leaving_the_range_is_ill_conditioned() -> None:
    """The exact result may be any number in float64 where a correct float32 program gives infinity or NaN."""
    expected = expect([[1e50, 2.0]], sensitivity=np.inf)
    for answer in ([[np.inf, 2.0]], [[np.nan, 2.0]], [[1e30, 2.0]]):
        found = compare(expected, as_file(answer))
        assert (found.status, found.reason) == ("ill-conditioned", "the model leaves the range of float32")


def test_zero_budget() -> None:
    """An output that is exactly zero for one input is right when the file's is, too."""
    assert compare(expect([[0.0, 0.0]]), as_file([[0.0, -0.0]])).status == "passed"
    assert compare(expect([[0.0, 0.0]]), as_file([[0.0, 1e-30]])).status == "failed"


# --- several outputs ------------------------------------------------------------------------------------------------


def test_an_unsure_output_makes_the_others_unsure() -> None:
    """A saturated softmax hides from a few draws how unsure its scores are; no other excess is excused by that."""
    unsure, sure = expect([[1.0]], sensitivity=1.0), expect([[1.0]])
    wrong, nan = as_file([[0.0]]), as_file([[np.nan]])
    one = judge({"logits": unsure, "probabilities": sure}, {"logits": wrong, "probabilities": wrong})
    assert [found.status for found in one.values()] == ["ill-conditioned", "ill-conditioned"]
    assert one["probabilities"].reason == one["logits"].reason
    gate = judge({"logits": unsure, "probabilities": sure}, {"logits": wrong, "probabilities": nan})
    assert gate["probabilities"].status == "failed"
    right = judge({"logits": unsure, "probabilities": sure}, {"logits": wrong, "probabilities": as_file([[1.0]])})
    assert right["probabilities"].status == "passed"
    both = judge({"logits": sure, "probabilities": sure}, {"logits": wrong, "probabilities": as_file([[1.0]])})
    assert [found.status for found in both.values()] == ["failed", "passed"]


def test_agreement_counts_rows() -> None:
    exact = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    found = as_file([[0.4, 0.6], [0.4, 0.6], [0.1, 0.2], [0.9, 0.1]])
    assert agreement(exact, found) == 0.75
    assert compare(replace(expect(exact), sensitivity=np.ones(1)), found).agreement == 0.75


def test_the_rule_needs_no_torch() -> None:
    code = "import sys, zoo.parity; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
