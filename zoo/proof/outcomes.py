"""What came of the inputs of a proof, output by output: how near each came to its budget, and the worst of all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

from zoo.nn.readout import CLASS_OUTPUTS
from zoo.parity import SENSITIVITY_FACTOR, Comparison, Expected, distinguishable
from zoo.proof.cases import Case

LOOK_AT_THE_CELL = "torch's own float32 error is as large: look at the cell, not at the file"
ZERO = (
    "the output is zero for every input, so agreement proves nothing; train the model, or look for weights that are "
    "zero and units that are dead"
)
SAME = (
    "the output depends on the input by less than its budget, so agreement proves nothing; train the model, or look "
    "for units that are saturated, weights that are tiny and inputs far from the model's usual scale"
)


@dataclass(frozen=True)
class Outcome:
    """One output in one case."""

    case: Case
    expected: Expected
    file: Comparison
    torch: Comparison
    """What torch itself, in float32, makes of it."""


def overall(statuses: Sequence[str]) -> str:
    """One verdict from several: a failure outweighs everything, and what did not run proves nothing.

    Ill-conditioned outweighs inconclusive: such a model has no certain answers in float32, whatever file it is put in;
    of an inconclusive one only the evidence is missing.
    """
    ran = [status for status in statuses if status != "unavailable"]
    for status in ("failed", "ill-conditioned", "inconclusive"):
        if status in ran:
            return status
    return "passed" if ran else "unavailable"


def judged_steps(outputs: Iterable[Sequence[Outcome]], least: int) -> int | None:
    """Up to how many steps a verdict is possible on every case of every output, where it is not on all of them.

    None where it is, or where it is not even at the ``least`` number of steps.
    """
    found = [(one.case.time, one.file.status == "ill-conditioned") for known in outputs for one in known]
    unsure = [steps for steps, ill in found if ill]
    limit = max((steps for steps, _ in found if unsure and steps < min(unsure)), default=0)
    return limit if limit >= max(least, 1) else None


def why_not_beyond(outputs: Mapping[str, Sequence[Outcome]]) -> str:
    """Why no verdict is possible beyond `judged_steps`: the reason of the shortest ill-conditioned case."""
    unsure = [(name, one) for name, every in outputs.items() for one in every if one.file.status == "ill-conditioned"]
    name, first = min(unsure, key=lambda known: known[1].case.time)
    return f"{name}: {first.file.reason} ({first.case})"


def summary(name: str, every: Sequence[Outcome], limit: int | None, *, state: bool) -> dict[str, Any]:
    """The worst of all cases of one output, and whether it proves anything at all. A ``state`` need not depend on the
    input, as that of a counter does not. Ill-conditioned cases beyond a ``limit`` of steps are left out."""
    outcomes = [one for one in every if limit is None or one.case.time <= limit or one.file.status == "failed"]
    status = overall([outcome.file.status for outcome in outcomes])
    classes = name in CLASS_OUTPUTS and outcomes[0].expected.exact.shape[-1] > 1
    worst = max((one for one in outcomes if one.file.status == status), key=lambda one: one.file.over_budget)
    reason = f"{worst.file.reason} ({worst.case}){whose_fault(worst.file, worst.torch)}" if status != "passed" else ""
    if status == "passed" and not state:
        reason = _proves_nothing(outcomes)
        status = "inconclusive" if reason else status
    return {
        "name": name,
        "status": status,
        "reason": reason,
        "max_error": max(outcome.file.max_error for outcome in outcomes),
        "over_budget": worst.file.over_budget,
        "worst_case": worst.case.to_dict(),
        "torch_max_error": max(outcome.torch.max_error for outcome in outcomes),
        "torch_over_budget": max(outcome.torch.over_budget for outcome in outcomes),
        "amplification": max(outcome.file.amplification for outcome in outcomes),
        "ill_conditioned_cases": sum(outcome.file.status == "ill-conditioned" for outcome in every),
        "agreement": min(outcome.file.agreement for outcome in outcomes) if classes else None,
        "errors": [one.file.max_error for one in every],
        "budgets": [float(one.expected.budget.max()) for one in every],
        "by_step": _by_step(every),
    }


def _by_step(outcomes: Sequence[Outcome]) -> dict[str, Any] | None:
    """Error and budget of each step of the longest case, for a picture; None for an output without steps."""
    longest = max(range(len(outcomes)), key=lambda index: outcomes[index].expected.steps)
    one = outcomes[longest]
    if one.expected.steps == 1 or not one.file.errors.size:
        return None
    return {"case": longest, "errors": one.file.errors.tolist(), "budgets": one.expected.budget.tolist()}


def whose_fault(file: Comparison, torch: Comparison) -> str:
    """Where to look when an output is not passed, if not at the file: what to put behind the reason, or nothing.

    torch runs the model's own code in float32. Two right programs of a model may be apart by the factor that a budget
    has over the sensitivity. So where torch itself is over the budget, and by no less than the file but for that
    factor, or has as large an error where none can be judged, what is wrong is in the file's model, not in the file.
    """
    if file.status == "failed":
        alike = torch.over_budget > 1 and file.over_budget <= SENSITIVITY_FACTOR * torch.over_budget
    else:
        alike = 0 < file.max_error <= SENSITIVITY_FACTOR * torch.max_error
    return f"; {LOOK_AT_THE_CELL}" if alike else ""


def _proves_nothing(outcomes: Sequence[Outcome]) -> str:
    """Why agreement on an output is no evidence, and what to do: it is zero, or other inputs' answers would pass."""
    pairs = list(_other_inputs(outcomes))
    if not pairs or any(distinguishable(one.expected, other.expected.exact) for one, other in pairs):
        return ""
    zero = max(one.expected.scale for one in outcomes) == 0
    return ZERO if zero else SAME


def _other_inputs(outcomes: Sequence[Outcome]) -> Iterator[tuple[Outcome, Outcome]]:
    """Each two that differ in their input alone. Random states, on which an output may depend instead, are left out."""
    alike: dict[tuple[object, ...], list[Outcome]] = {}
    for one in outcomes:
        if not one.case.states:
            alike.setdefault((one.case.batch, one.case.time, one.case.chunk), []).append(one)
    for some in alike.values():
        yield from permutations(some, 2)
