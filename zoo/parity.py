"""The rule of parity: how far a correct program may be from the exact result, and whether one is further. NumPy only.

The exact result is the model in float64. Its sensitivity is how far it moves when every floating-point operation is
disturbed by one rounding of the precision judged (Monte Carlo arithmetic: Parker 1997; see `zoo.proof.oracle`). For an
output and a step t::

    budget(t) = 8 * max over s <= t of sensitivity(s)  +  4 * eps * scale

with eps the spacing of the precision at 1 and scale the largest magnitude of the exact output. Where the sensitivity is
more than 10,000 roundings of the output's usual size, or infinite because the model leaves the precision's range, the
model amplifies noise so much that agreement means nothing; the verdict is then *ill-conditioned*, never *passed*. The
same where 8 times the sensitivity reaches the output's usual size, so that any answer would be within the budget: which
happens at coarse precisions long before the 10,000 roundings. Why this rule and not a fixed tolerance:
exporters/PROOF.md.

A file of lower precision keeps weights in float16, bfloat16 or int8 and computes all else in float32. Its precision is
called ``float32 with int8 weights``, say; `zoo.proof.disturbed` tells what is disturbed then. The roundings that are
counted are those of the weights, the coarsest; eps stays that of float32, since that is what outputs are rounded to.

Integers, such as a counter of steps, must be equal: their budget is 0. One that the disturbances move was made of
rounded numbers and may be any, so that no verdict is possible on it.

Where the exact answers to other inputs would pass as well, the output depends on its input by less than its budget,
and a file that reads no input would agree. Then agreement proves nothing: the verdict on the output is *inconclusive*,
never *passed*; see `distinguishable`. It follows from several inputs, so `compare` never gives it.
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
"""A few draws see a part of the spread only, and a correct program may sum in another order."""
ROUNDING_FACTOR = 4.0
AMPLIFICATION_LIMIT = 1e4


class WeightFormat(NamedTuple):
    """What weights are kept in, where that is coarser than what is computed in."""

    unit_roundoff: float
    """Largest error of a weight, in units of itself or, where there is a step, of the largest of its column."""
    smallest: float = 0.0
    """Below this magnitude a number is rounded as this magnitude is: the smallest normal number of the format."""
    range_share: float = 0.0
    """Largest error of an activation in units of its tensor's range; 0 where activations are not rounded."""


WEIGHT_FORMATS = {
    "float16": WeightFormat(2.0**-11, 2.0**-14),
    "bfloat16": WeightFormat(2.0**-8, 2.0**-126),
    "int8": WeightFormat(1 / 254, range_share=1 / 510),
}
"""Half a step each. int8: a column's weights have 127 steps up to its largest magnitude; an activation has 255 over the
range of its tensor, zero included (ONNX, DynamicQuantizeLinear: https://onnx.ai/onnx/operators/)."""


class Precision(NamedTuple):
    """How coarse a floating-point format is, and how far it reaches."""

    unit_roundoff: float
    """Largest relative error of one rounding: half of the spacing at 1."""
    max_exponent: int
    """Nothing from 2 to this power on is finite."""
    weights: str | None = None
    """A key of WEIGHT_FORMATS, where weights are kept in something coarser."""

    @property
    def coarsest(self) -> float:
        """The unit roundoff of whatever is rounded most."""
        return max(self.unit_roundoff, WEIGHT_FORMATS[self.weights].unit_roundoff if self.weights else 0.0)


def with_weights(arithmetic: str, kept: str) -> str:
    """The precision of a file whose weights are in float32 or a key of WEIGHT_FORMATS."""
    return arithmetic if kept == "float32" else f"{arithmetic} with {kept} weights"


PRECISIONS = {
    "float32": Precision(2.0**-24, 128),
    "tf32": Precision(2.0**-11, 128),
    "float16": Precision(2.0**-11, 16),
    "bfloat16": Precision(2.0**-8, 128),
}
ALL_PRECISIONS = PRECISIONS | {
    with_weights(arithmetic, kept): PRECISIONS[arithmetic]._replace(weights=kept)
    for arithmetic in ("float32", "tf32")
    for kept in WEIGHT_FORMATS
}
"""Those in which everything is of one format, and those of files with weights in something coarser."""


@dataclass(frozen=True)
class Expected:
    """What one output should be, and how surely that can be known."""

    exact: Array
    """(batch, ...) or (batch, time, ...); float64, or the integer type that the output has."""
    sensitivity: Array
    """(time,), or (1,) where the output has no steps: the largest move at each step under disturbed arithmetic."""
    precision: str = "float32"
    """A key of ALL_PRECISIONS: the precision in which the judged program computes."""
    usual_scale: float = 0.0
    """The largest magnitude that the output has on any input of the proof. A single score may be near zero by chance,
    and what it moves is then many roundings of itself, though nothing was amplified."""
    padding: Array | None = None
    """(batch, time), true beyond each length, where the output has steps and sequences have lengths."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """What the judged program has to give: float32, or the integer type of the exact result."""
        return np.dtype(np.float32) if self.exact.dtype.kind == "f" else self.exact.dtype

    @property
    def steps(self) -> int:
        return len(self.sensitivity)

    @property
    def unit_roundoff(self) -> float:
        return ALL_PRECISIONS[self.precision].unit_roundoff

    @property
    def scale(self) -> float:
        """The largest finite magnitude."""
        return float(np.abs(self.exact[np.isfinite(self.exact)].astype(np.float64)).max(initial=0.0))

    @property
    def budget(self) -> Array:
        """(time,) or (1,): the largest error of a correct program, by the rule above."""
        if self.dtype.kind != "f":
            return np.zeros(self.steps)
        eps = 2 * self.unit_roundoff
        return SENSITIVITY_FACTOR * np.maximum.accumulate(self.sensitivity) + ROUNDING_FACTOR * eps * self.scale

    @property
    def coarsest(self) -> float:
        return ALL_PRECISIONS[self.precision].coarsest

    @property
    def amplification(self) -> float:
        """How many roundings of its usual size the output moves when each operation makes one."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            ratio = self.sensitivity.max() / (self.coarsest * max(self.scale, self.usual_scale))
        return float(np.nan_to_num(ratio, nan=0.0, posinf=np.inf))

    @property
    def judged_steps(self) -> int:
        """How many steps, from the first, a verdict is possible on."""
        share = min(AMPLIFICATION_LIMIT * self.coarsest, 1 / SENSITIVITY_FACTOR)
        limit = share * max(self.scale, self.usual_scale)
        beyond = np.maximum.accumulate(self.sensitivity) > (limit if self.dtype.kind == "f" else 0)
        return int(beyond.argmax()) if beyond.any() else self.steps


def with_usual_scale(inputs: Sequence[Mapping[str, Expected]]) -> list[Mapping[str, Expected]]:
    """The outputs of several inputs, each told the largest magnitude that it has on any of them."""
    usual = {name: max(outputs[name].scale for outputs in inputs) for name in inputs[0]}
    return [{name: replace(one, usual_scale=usual[name]) for name, one in outputs.items()} for outputs in inputs]


@dataclass(frozen=True)
class Comparison:
    """One output of one input, compared."""

    status: Status
    reason: str
    """Empty when passed; else which gate failed and by how much."""
    max_error: float
    over_budget: float
    """The largest error in units of its budget, over the steps that can be judged; above 1 is a failure."""
    amplification: float
    agreement: float
    """Share of the rows whose largest entry is the same one."""
    errors: Array
    """(time,), or (1,) where the output has no steps: the largest error of each; empty where a gate was not passed."""


def compare(expected: Expected, found: Array) -> Comparison:
    """Judge one output: the hard gates first, then the budget.

    The gates: the shape, the dtype, NaN and infinities exactly where the exact result has them; and exactly 0 where it
    is 0 beyond a length, as scores are. What follows from scores, such as the softmax of zeros, has a budget like any
    other number, since a correct program may round a third in more than one way.
    """
    if found.shape != expected.exact.shape:
        return _refused(f"shape {found.shape} instead of {expected.exact.shape}", expected)
    if found.dtype != expected.dtype:
        return _refused(f"dtype {found.dtype} instead of {expected.dtype}", expected)
    if expected.padding is not None and found[expected.padding][expected.exact[expected.padding] == 0].any():
        return _refused("numbers beyond the lengths of sequences, where exactly 0 is due", expected)
    judged = expected.judged_steps
    exact, answer = _by_step(expected.exact, expected.steps), _by_step(found, expected.steps)
    if not np.array_equal(_not_finite(exact[:judged]), _not_finite(answer[:judged]), equal_nan=True):
        return _refused("NaN or infinity where the exact result has a number, or the other way round", expected)
    error = _errors(exact, answer).max(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):  # no error, or some, where none is allowed
        over = np.where(error[:judged] > 0, error[:judged] / expected.budget[:judged], 0.0)
    over_budget = float(over.max(initial=0.0))
    status: Status = "passed"
    reason = ""
    if over_budget > 1:
        status, reason = "failed", _over(float(error[:judged].max()), over_budget)
    elif judged < expected.steps:
        status, reason = "ill-conditioned", _ill_conditioned(expected)
    labels = agreement(expected.exact, found)
    return Comparison(status, reason, float(error.max()), over_budget, expected.amplification, labels, error)


def judge(expected: Mapping[str, Expected], found: Mapping[str, Array]) -> Mapping[str, Comparison]:
    """Judge every output of one input, by name.

    Outputs follow from each other, and a saturated softmax hides from a few draws how unsure its scores are. So where
    one output is ill-conditioned, another one over its budget is no proof of a fault, and is ill-conditioned too.
    """
    each = {name: compare(wanted, found[name]) for name, wanted in expected.items()}
    unsure = next((one.reason for one in each.values() if one.status == "ill-conditioned"), None)
    if unsure is None:
        return each
    return {
        name: replace(one, status="ill-conditioned", reason=unsure) if 1 < one.over_budget < np.inf else one
        for name, one in each.items()
    }


def distinguishable(expected: Expected, other: Array) -> bool:
    """Whether the answer to another input, of the same shape and lengths, would fail in place of what is expected."""
    with np.errstate(over="ignore"):  # an exact result may be beyond float32
        return compare(expected, other.astype(expected.dtype)).over_budget > 1


def _by_step(array: Array, steps: int) -> Array:
    """(batch, time, ...) -> (time, everything else); (batch, ...) without steps -> (1, everything)."""
    return array.swapaxes(0, 1).reshape(steps, -1) if steps > 1 else array.reshape(1, -1)


def _not_finite(array: Array) -> Array:
    """NaN and infinities as they are, every number as 0."""
    return np.where(np.isfinite(array), 0.0, array)


def _errors(exact: Array, answer: Array) -> Array:
    """By how much each number is off; 0 where it is equal or the exact one is not finite."""
    with np.errstate(invalid="ignore"):  # infinity less itself
        off = np.abs(answer.astype(np.float64) - exact)
    if exact.dtype.kind != "f":  # of the largest integers float64 does not tell neighbours apart
        off = np.maximum(off, 1.0)
    return np.where(np.isfinite(exact) & (answer != exact), off, 0.0)


def _over(error: float, over_budget: float) -> str:
    if np.isinf(over_budget):
        return f"error {error:.2e} where it must be equal"
    return f"error {error:.2e} is {over_budget:.3g} times its budget"


def _ill_conditioned(expected: Expected) -> str:
    place = f" from step {expected.judged_steps} on" if expected.judged_steps else ""
    if np.isinf(expected.sensitivity).any():
        return f"the model leaves the range of {expected.precision}{place}"
    if expected.amplification <= AMPLIFICATION_LIMIT:
        return f"at {expected.precision} the budget is as large as the output itself{place}"
    return f"the model amplifies rounding {expected.amplification:,.0f} times{place}"


def _refused(reason: str, expected: Expected) -> Comparison:
    return Comparison("failed", reason, float("inf"), float("inf"), expected.amplification, 0.0, np.empty(0))


def agreement(exact: Array, found: Array) -> float:
    """Share of the rows (last axis) whose largest entry is the same one."""
    return float((exact.argmax(-1) == found.argmax(-1)).mean())
