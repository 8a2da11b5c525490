"""The rule of parity: the budget, the gates, and the outputs that never pass."""

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
    """Return the output of a file that computes the exact result, rounded to float32."""
    return np.asarray(exact, np.float32)


# --- the budget -----------------------------------------------------------------------------------------------------


def test_budget_is_eight_sensitivities_and_four_spacings_of_the_scale() -> None:
    expected = expect([[3.0, -5.0]], sensitivity=1e-6)
    assert expected.scale == 5
    assert expected.budget == pytest.approx([8 * 1e-6 + 4 * 2**-23 * 5], rel=1e-15)


def test_sensitivity_never_falls_with_time() -> None:
    """The largest sensitivity up to a step counts."""
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
    # The output has the spacing of float32, so the exact result is shifted instead, and its scale with it.
    error = share * float(expect([[value]], sensitivity).budget[0])
    expected = expect([[float(answer) + error]], sensitivity)
    share = error / float(expected.budget[0])
    # The sum is rounded by at most 2^-53 of itself, and the budget is at least 2^-21 of it: 2^-32 of the budget.
    assume(abs(share - 1) > 2**-31)
    comparison = compare(expected, np.array([[answer]]))
    assert comparison.over_budget == pytest.approx(share, abs=2**-31)
    assert comparison.status == ("passed" if share <= 1 else "failed")


@pytest.mark.parametrize(("share", "status"), [(0.999, "passed"), (1.001, "failed")])
def test_just_below_and_just_above_the_budget(share: float, status: str) -> None:
    budget = float(expect([[1.0]]).budget[0])
    assert compare(expect([[1.0 - share * budget]]), as_file([[1.0]])).status == status


def test_only_the_wrong_step_fails() -> None:
    exact = np.ones((2, 5, 3))
    actual = as_file(exact)
    actual[0, 3, 2] += 1e-3
    early, late = np.full(5, 1e-7), np.array([1e-7, 1e-7, 1e-7, 5e-4, 5e-4])
    assert compare(expect(exact, early), actual).status == "failed"
    assert compare(expect(exact, late), actual).status == "passed"
    assert compare(expect(exact, late[::-1]), actual).status == "passed"  # uncertain from the first step on


def test_the_reason_of_a_failure_gives_its_size() -> None:
    comparison = compare(expect([[1.0, 2.0]]), as_file([[1.0, 2.5]]))
    assert (comparison.status, comparison.max_error) == ("failed", 0.5)
    assert comparison.over_budget == pytest.approx(0.5 / (4 * 2**-23 * 2), rel=1e-12)
    assert comparison.reason == "error 5.00e-01 is 5.24e+05 times its budget"


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
    comparison = compare(expect(EXACT, sensitivity=1e-5), answer)
    assert comparison.status == "failed"
    assert comparison.over_budget == np.inf
    assert re.search(reason, comparison.reason)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nonfinite_values_must_be_at_the_same_places(value: float) -> None:
    exact = [[value, 0.5], [0.75, 1.0]]
    assert compare(expect(exact), as_file(exact)).status == "passed"
    for other in ([[0.5, value], [0.75, 1.0]], EXACT, [[-value if np.isinf(value) else np.inf, 0.5], [0.75, 1.0]]):
        assert compare(expect(exact), as_file(other)).status == "failed"
    wrong = as_file(exact)
    wrong[1, 1] = 2
    assert compare(expect(exact), wrong).status == "failed"  # NaN elsewhere does not hide the error


def scores(tail: float, exact_tail: float = 0.0) -> tuple[Expected, Array]:
    """Return scores of two sequences of 3 steps, the second of length 1; ``tail`` is the file's value beyond it."""
    exact = np.array([[[1.0, 2.0]] * 3, [[3.0, 4.0]] + [[exact_tail] * 2] * 2])
    actual = exact.astype(np.float32)
    actual[1, 2, 1] = tail
    padding = np.array([[False] * 3, [False, True, True]])
    return replace(expect(exact, [1e-6] * 3), padding=padding), actual


@pytest.mark.parametrize("tail", [1e-30, -1e-7, np.nan, np.inf])
def test_beyond_a_length_scores_are_exactly_0(tail: float) -> None:
    """For any budget. Without lengths the same number is within the budget."""
    expected, actual = scores(tail)
    comparison = compare(expected, actual)
    assert (comparison.status, comparison.over_budget) == ("failed", np.inf)
    assert comparison.reason == "numbers beyond the lengths of sequences, where exactly 0 is expected"
    if np.isfinite(tail):
        assert compare(replace(expected, padding=None), actual).status == "passed"


def test_beyond_a_length_values_other_than_0_have_a_budget() -> None:
    """An example is the softmax of scores that are 0."""
    for tail, exact, status in ((0.0, 0.0, "passed"), (-0.0, 0.0, "passed"), (1 / 3 + 1e-7, 1 / 3, "passed")):
        assert compare(*scores(tail, exact)).status == status
    assert compare(*scores(0.0, 1 / 3)).status == "failed"


def test_the_padding_of_an_ill_conditioned_output_is_judged() -> None:
    expected, actual = scores(1e-30)
    assert compare(replace(expected, sensitivity=np.ones(3)), actual).status == "failed"


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
def test_large_integers_with_an_error_of_one(number: int) -> None:
    """Large neighbours are equal in float64, and an error of one in a million is below float32's rounding."""
    exact = np.array([[number]])
    expected = Expected(exact, np.zeros(1))
    assert compare(expected, exact - 1).status == "failed"
    assert compare(expected, exact).status == "passed"


def test_integers_made_of_rounded_numbers_cannot_be_judged() -> None:
    expected = Expected(np.array([[100_000]]), np.ones(1))
    for number in (100_000, 100_001):
        assert compare(expected, np.array([[number]])).status == "ill-conditioned"


# --- ill-conditioned outputs ----------------------------------------------------------------------------------------


def test_amplification_is_counted_in_roundings_of_the_scale() -> None:
    assert expect([[2.0, 1.0]], sensitivity=6 * U).amplification == pytest.approx(3, rel=1e-15)
    assert expect([[0.0]], sensitivity=0.0).amplification == 0
    assert expect([[0.0]], sensitivity=1e-9).amplification == np.inf


@pytest.mark.parametrize("error", [0.0, 1e-3, 1.0])
def test_ill_conditioned_is_never_passed(error: float) -> None:
    """Beyond 10,000 roundings of the output any agreement is by chance."""
    within, beyond = expect([[1.0]], 0.999e4 * U), expect([[1.0]], 1.001e4 * U)
    assert compare(within, as_file([[1.0]])).status == "passed"
    comparison = compare(beyond, as_file([[1.0 + error]]))
    assert (comparison.status, comparison.over_budget) == ("ill-conditioned", 0)
    assert comparison.reason == "the model amplifies rounding 10,010 times"


def test_a_score_near_zero_is_measured_by_its_usual_scale() -> None:
    """The budget does not depend on the usual scale."""
    small = expect([[1e-6]], sensitivity=6 * U)
    assert small.amplification > 1e4
    assert small.judged_steps == 0
    scaled = replace(small, usual_scale=2.0)
    assert scaled.amplification == pytest.approx(3, rel=1e-15)
    assert scaled.judged_steps == 1
    assert scaled.budget == small.budget
    assert replace(small, usual_scale=1e-9).amplification == small.amplification


def test_steps_before_the_ill_conditioned_ones_are_judged() -> None:
    exact = np.ones((1, 4, 1))
    expected = expect(exact, sensitivity=[U, U, 1e-2, U])
    assert expected.judged_steps == 2
    actual = as_file(exact)
    actual[0, 3] = 5
    late = compare(expected, actual)
    assert (late.status, late.max_error) == ("ill-conditioned", 4)
    assert late.reason.endswith(" times from step 2 on")
    actual[0, 1] = 5
    assert compare(expected, actual).status == "failed"


def test_leaving_the_range_is_ill_conditioned() -> None:
    """The exact result may be finite in float64 where a correct float32 program returns infinity or NaN."""
    expected = expect([[1e50, 2.0]], sensitivity=np.inf)
    for answer in ([[np.inf, 2.0]], [[np.nan, 2.0]], [[1e30, 2.0]]):
        comparison = compare(expected, as_file(answer))
        assert (comparison.status, comparison.reason) == ("ill-conditioned", "the model leaves the range of float32")


def test_zero_budget() -> None:
    """An output that is exactly 0 must be 0."""
    assert compare(expect([[0.0, 0.0]]), as_file([[0.0, -0.0]])).status == "passed"
    assert compare(expect([[0.0, 0.0]]), as_file([[0.0, 1e-30]])).status == "failed"


# --- several outputs ------------------------------------------------------------------------------------------------


def test_an_ill_conditioned_output_makes_outputs_over_budget_ill_conditioned() -> None:
    """A few draws of a saturated softmax do not show how uncertain its scores are. A failed gate stays a failure."""
    uncertain, certain = expect([[1.0]], sensitivity=1.0), expect([[1.0]])
    wrong, nan = as_file([[0.0]]), as_file([[np.nan]])
    outputs = {"logits": uncertain, "probabilities": certain}
    comparisons = judge(outputs, {"logits": wrong, "probabilities": wrong})
    assert [comparison.status for comparison in comparisons.values()] == ["ill-conditioned", "ill-conditioned"]
    assert comparisons["probabilities"].reason == comparisons["logits"].reason
    gate = judge(outputs, {"logits": wrong, "probabilities": nan})
    assert gate["probabilities"].status == "failed"
    right = judge(outputs, {"logits": wrong, "probabilities": as_file([[1.0]])})
    assert right["probabilities"].status == "passed"
    both = judge({"logits": certain, "probabilities": certain}, {"logits": wrong, "probabilities": as_file([[1.0]])})
    assert [comparison.status for comparison in both.values()] == ["failed", "passed"]


def test_agreement_counts_rows() -> None:
    exact = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    actual = as_file([[0.4, 0.6], [0.4, 0.6], [0.1, 0.2], [0.9, 0.1]])
    assert agreement(exact, actual) == 0.75
    assert compare(replace(expect(exact), sensitivity=np.ones(1)), actual).agreement == 0.75


def test_the_rule_needs_no_torch() -> None:
    code = "import sys, zoo.parity; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_integers_that_depend_on_rounding_are_not_judged() -> None:
    exact = np.array([[1, 2, 3]])
    expected = Expected(exact, np.zeros(1), unsettled=np.array([[False, True, False]]))
    assert compare(expected, np.array([[1, 9, 3]])).status == "passed"
    assert compare(expected, np.array([[1, 2, 4]])).status == "failed"
