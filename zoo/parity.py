"""The rule of parity: the error bound of an exported output, and the verdict on it. Needs NumPy only.

The exact result is the output of the model in float64. Its sensitivity at a step is the largest change of the output at
that step, over several draws, when the result of every floating-point operation is multiplied by 1 + u xi, with u the
unit roundoff of the judged precision and xi random in [-1, 1]. This is Monte Carlo arithmetic; `zoo.proof.disturbed`
implements it. The budget (error bound) of an output at step t is::

    budget(t) = 8 * max over s <= t of sensitivity(s)  +  4 * eps * scale

with eps = 2 u, the spacing of the precision at 1, and scale the largest magnitude of the exact output.

An output is *ill-conditioned*, never *passed*, where agreement would be meaningless:

- the sensitivity exceeds 10,000 roundings of the output's usual magnitude;
- the sensitivity is infinite, because the model leaves the range of the precision;
- 8 times the sensitivity reaches the output's usual magnitude, so that any answer would be within the budget. Coarse
  precisions get there long before 10,000 roundings.

An output is *inconclusive*, never *passed*, where the exact results of other inputs would pass as well: a file that
ignores its input would agree too. This verdict needs several inputs; see `distinguishable`. `compare` never gives it.

A file of lower precision stores weights in float16, bfloat16 or int8 and computes everything else in float32. The name
of such a precision is, for example, ``float32 with int8 weights``. Its amplification counts roundings of the weights,
the coarsest ones; eps stays that of float32, since outputs are rounded to float32.

Integer outputs, such as a counter of steps, must be equal: their budget is 0. An integer that changes under the
disturbances depends on rounded numbers, and is ill-conditioned.

Sources: D. S. Parker, "Monte Carlo Arithmetic: exploiting randomness in floating-point arithmetic", UCLA CSD-970002,
1997. C. Denis, P. de Oliveira Castro, E. Petit, "Verificarlo: checking floating point accuracy through Monte Carlo
arithmetic", ARITH 2016, arXiv:1509.01347. The form of the budget and its constants are this project's;
exporters/PROOF.md gives the measurements behind them and the case against a fixed tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Status = Literal["passed", "failed", "ill-conditioned", "inconclusive"]

SENSITIVITY_FACTOR = 8.0
"""Covers the part of the spread that a few draws miss, and programs that sum in another order."""
ROUNDING_FACTOR = 4.0
"""Covers the rounding of the output itself, where the sensitivity is nearly zero."""
AMPLIFICATION_LIMIT = 1e4
"""Amplification above which an output is ill-conditioned, in roundings of its usual magnitude."""


class WeightFormat(NamedTuple):
    """Rounding errors of a storage format of weights that is coarser than the arithmetic."""

    unit_roundoff: float
    """Largest error of a weight: relative to the weight in a floating-point format, to the largest magnitude of its
    column in int8."""
    smallest: float = 0.0
    """Smallest normal number. A smaller magnitude has the absolute rounding error of this one."""
    range_share: float = 0.0
    """Largest error of an activation, relative to the range of its tensor; 0 where activations are not rounded."""


WEIGHT_FORMATS = {
    "float16": WeightFormat(2.0**-11, 2.0**-14),
    "bfloat16": WeightFormat(2.0**-8, 2.0**-126),
    "int8": WeightFormat(1 / 254, range_share=1 / 510),
}
"""Half a step each. int8: the weights of a column have 127 steps up to its largest magnitude; an activation has 255
steps over the range of its tensor, zero included (ONNX, DynamicQuantizeLinear: https://onnx.ai/onnx/operators/)."""


class Precision(NamedTuple):
    """Unit roundoff and range of the arithmetic, and the format of the weights."""

    unit_roundoff: float
    """Largest relative error of one rounding: half of the spacing at 1."""
    max_exponent: int
    """Magnitudes from 2 to this power on overflow."""
    weights: str | None = None
    """Key of WEIGHT_FORMATS; None where weights have the precision of the arithmetic."""

    @property
    def coarsest_roundoff(self) -> float:
        """The larger unit roundoff of arithmetic and weights."""
        return max(self.unit_roundoff, WEIGHT_FORMATS[self.weights].unit_roundoff if self.weights else 0.0)


def with_weights(arithmetic: str, weights: str) -> str:
    """Return the key of ALL_PRECISIONS for an arithmetic and a weight format, float32 or a key of WEIGHT_FORMATS."""
    return arithmetic if weights == "float32" else f"{arithmetic} with {weights} weights"


PRECISIONS = {
    "float32": Precision(2.0**-24, 128),
    "tf32": Precision(2.0**-11, 128),
    "float16": Precision(2.0**-11, 16),
    "bfloat16": Precision(2.0**-8, 128),
}
"""Precisions with weights and arithmetic in one format."""
ALL_PRECISIONS = PRECISIONS | {
    with_weights(arithmetic, weights): PRECISIONS[arithmetic]._replace(weights=weights)
    for arithmetic in ("float32", "tf32")
    for weights in WEIGHT_FORMATS
}
"""PRECISIONS, and those of files with weights in a coarser format."""


@dataclass(frozen=True)
class Expected:
    """Exact result of one output for one input, and its sensitivity to rounding."""

    exact: Array
    """(batch, ...) or (batch, time, ...); float64, or the integer type of the output."""
    sensitivity: Array
    """(time,), or (1,) for an output without steps: the largest change at each step under disturbed arithmetic, in the
    unit of the output."""
    precision: str = "float32"
    """Key of ALL_PRECISIONS: the precision of the judged program."""
    usual_scale: float = 0.0
    """Largest magnitude of the output over all inputs of the proof. A single score may be near zero by chance; its
    change is then many roundings of its own magnitude, although nothing was amplified."""
    padding: Array | None = None
    """(batch, time), true beyond each length; None for an output without steps and for sequences without lengths."""
    unsettled: Array | None = None
    """Like ``exact``, true where an integer or a boolean depends on rounded numbers, so that it is not judged."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Required dtype of the judged output: float32, or the integer type of the exact result."""
        return np.dtype(np.float32) if self.exact.dtype.kind == "f" else self.exact.dtype

    @property
    def steps(self) -> int:
        """Number of steps; 1 for an output without steps."""
        return len(self.sensitivity)

    @property
    def unit_roundoff(self) -> float:
        """Unit roundoff of the arithmetic."""
        return ALL_PRECISIONS[self.precision].unit_roundoff

    @property
    def scale(self) -> float:
        """Largest finite magnitude of the exact result."""
        return float(np.abs(self.exact[np.isfinite(self.exact)].astype(np.float64)).max(initial=0.0))

    @property
    def budget(self) -> Array:
        """Error bound of each step, (time,) or (1,), by the rule of this module; 0 for integers."""
        if self.dtype.kind != "f":
            return np.zeros(self.steps)
        eps = 2 * self.unit_roundoff
        return SENSITIVITY_FACTOR * np.maximum.accumulate(self.sensitivity) + ROUNDING_FACTOR * eps * self.scale

    @property
    def amplification(self) -> float:
        """Largest sensitivity, in roundings of the output's usual magnitude."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            rounding = ALL_PRECISIONS[self.precision].coarsest_roundoff * max(self.scale, self.usual_scale)
            ratio = self.sensitivity.max() / rounding
        return float(np.nan_to_num(ratio, nan=0.0, posinf=np.inf))

    @property
    def judged_steps(self) -> int:
        """Number of steps, from the first, that are not ill-conditioned."""
        share = min(AMPLIFICATION_LIMIT * ALL_PRECISIONS[self.precision].coarsest_roundoff, 1 / SENSITIVITY_FACTOR)
        limit = share * max(self.scale, self.usual_scale) if self.dtype.kind == "f" else 0
        beyond = np.maximum.accumulate(self.sensitivity) > limit
        return int(beyond.argmax()) if beyond.any() else self.steps


def with_usual_scale(
    inputs: Sequence[Mapping[str, Expected]], usual_inputs: Sequence[bool] | None = None
) -> list[Mapping[str, Expected]]:
    """Return the outputs of several inputs with ``usual_scale`` set to the largest magnitude over the usual inputs.

    Args:
        inputs: for each input, its outputs by name; all with the same names.
        usual_inputs: for each input whether it is a usual one; all of them when None. Inputs far beyond the data would
            let smaller outputs seem well-conditioned.
    """
    chosen = (
        inputs if usual_inputs is None else [each for each, usual in zip(inputs, usual_inputs, strict=True) if usual]
    )
    usual = {name: max((outputs[name].scale for outputs in chosen), default=0.0) for name in inputs[0]}
    return [
        {name: replace(expected, usual_scale=usual[name]) for name, expected in outputs.items()} for outputs in inputs
    ]


@dataclass(frozen=True)
class Comparison:
    """Verdict on one output of one input."""

    status: Status
    reason: str
    """Empty when passed; otherwise the gate or budget that was missed, or the cause of ill-conditioning."""
    max_error: float
    """Largest absolute error, over all steps; infinite where a gate failed."""
    over_budget: float
    """Largest error in units of its budget, over the judged steps; above 1 is a failure."""
    amplification: float
    """Amplification of the expected output; see `Expected.amplification`."""
    agreement: float
    """Share of rows with the expected index of the largest entry, from 0 to 1; see `agreement`."""
    errors: Array
    """Largest absolute error of each step: (time,), or (1,) for an output without steps; empty where a gate failed."""


def compare(expected: Expected, actual: Array) -> Comparison:
    """Judge one output of one input: first the gates, then the budget.

    The gates, which have no tolerance:

    - the shape and the dtype;
    - NaN and infinities at exactly the places where the exact result has them, over the judged steps;
    - exactly 0 beyond the length of a sequence where the exact result is 0, as for scores. Values computed from scores,
      such as the softmax of zeros, have a budget, since correct programs may round 1/3 differently.

    Args:
        expected: the exact result, its sensitivity and the precision to judge by.
        actual: the output to judge, of the shape of ``expected.exact`` and the dtype ``expected.dtype``.

    Returns:
        The verdict: *failed* where a gate or the budget of a judged step is missed, *ill-conditioned* where some steps
        cannot be judged and nothing else failed, else *passed*.
    """
    if actual.shape != expected.exact.shape:
        return _gate_failure(f"shape {actual.shape} instead of {expected.exact.shape}", expected)
    if actual.dtype != expected.dtype:
        return _gate_failure(f"dtype {actual.dtype} instead of {expected.dtype}", expected)
    if expected.padding is not None and actual[expected.padding][expected.exact[expected.padding] == 0].any():
        return _gate_failure("numbers beyond the lengths of sequences, where exactly 0 is expected", expected)
    if expected.unsettled is not None:
        actual = np.where(expected.unsettled, expected.exact, actual)
    judged = expected.judged_steps
    exact_rows, actual_rows = _by_step(expected.exact, expected.steps), _by_step(actual, expected.steps)
    if not np.array_equal(_only_nonfinite(exact_rows[:judged]), _only_nonfinite(actual_rows[:judged]), equal_nan=True):
        return _gate_failure("NaN or infinity where the exact result has a number, or the other way round", expected)
    errors = _errors(exact_rows, actual_rows).max(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):  # a budget may be 0
        over = np.where(errors[:judged] > 0, errors[:judged] / expected.budget[:judged], 0.0)
    over_budget = float(over.max(initial=0.0))
    status: Status = "passed"
    reason = ""
    if over_budget > 1:
        status, reason = "failed", _budget_reason(float(errors[:judged].max()), over_budget)
    elif judged < expected.steps:
        status, reason = "ill-conditioned", _ill_conditioned_reason(expected)
    share = agreement(expected.exact, actual)
    return Comparison(status, reason, float(errors.max()), over_budget, expected.amplification, share, errors)


def judge(expected: Mapping[str, Expected], actual: Mapping[str, Array]) -> Mapping[str, Comparison]:
    """Judge all outputs of one input.

    Outputs are computed from each other, and a few draws of a saturated softmax do not show how uncertain its scores
    are. So where one output is ill-conditioned, another one over its budget is no proof of a fault: it is
    ill-conditioned too, for the same reason. A failed gate stays a failure.

    Args:
        expected: the exact outputs by name.
        actual: the outputs to judge by name; names that ``expected`` lacks are not judged.

    Returns:
        The verdict on each output of ``expected``, by name.

    Raises:
        KeyError: if ``actual`` lacks an output.
    """
    results = {name: compare(output, actual[name]) for name, output in expected.items()}
    reason = next((result.reason for result in results.values() if result.status == "ill-conditioned"), None)
    if reason is None:
        return results
    return {
        name: replace(result, status="ill-conditioned", reason=reason) if 1 < result.over_budget < np.inf else result
        for name, result in results.items()
    }


def distinguishable(expected: Expected, other: Array) -> bool:
    """Return whether the rule rejects the exact result of another input in place of the expected one.

    Args:
        expected: the exact result of one input.
        other: the exact result of the other input, of the same shape and with the same lengths.
    """
    with np.errstate(over="ignore"):  # an exact result may exceed the range of float32
        return compare(expected, other.astype(expected.dtype)).over_budget > 1


def _by_step(array: Array, steps: int) -> Array:
    """Reshape (batch, time, ...) to (time, values), and (batch, ...) without steps to (1, values)."""
    return array.swapaxes(0, 1).reshape(steps, -1) if steps > 1 else array.reshape(1, -1)


def _only_nonfinite(array: Array) -> Array:
    """Replace every finite number by 0."""
    return np.where(np.isfinite(array), 0.0, array)


def _errors(exact: Array, actual: Array) -> Array:
    """Return the absolute errors, 0 where the numbers are equal or the exact one is not finite."""
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        errors = np.abs(actual.astype(np.float64) - exact)
    if exact.dtype.kind != "f":  # float64 rounds large integers, so unequal ones may have the difference 0
        errors = np.maximum(errors, 1.0)
    return np.where(np.isfinite(exact) & (actual != exact), errors, 0.0)


def _budget_reason(error: float, over_budget: float) -> str:
    if np.isinf(over_budget):
        return f"error {error:.2e} where it must be equal"
    return f"error {error:.2e} is {over_budget:.3g} times its budget"


def _ill_conditioned_reason(expected: Expected) -> str:
    steps = f" from step {expected.judged_steps} on" if expected.judged_steps else ""
    if np.isinf(expected.sensitivity).any():
        return f"the model leaves the range of {expected.precision}{steps}"
    if expected.amplification <= AMPLIFICATION_LIMIT:
        return f"at {expected.precision} the budget is as large as the output itself{steps}"
    return f"the model amplifies rounding {expected.amplification:,.0f} times{steps}"


def _gate_failure(reason: str, expected: Expected) -> Comparison:
    return Comparison("failed", reason, float("inf"), float("inf"), expected.amplification, 0.0, np.empty(0))


def agreement(exact: Array, actual: Array) -> float:
    """Return the share of rows (last axis) with the same index of the largest entry, from 0 to 1."""
    return float((exact.argmax(-1) == actual.argmax(-1)).mean())
