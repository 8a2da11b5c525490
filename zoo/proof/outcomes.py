"""Verdicts: the comparisons of all cases of a proof, summarised output by output."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Protocol

from zoo.nn.readout import CLASS_OUTPUTS
from zoo.parity import SENSITIVITY_FACTOR, Comparison, Expected, distinguishable

LOOK_AT_THE_CELL = "torch's own float32 error is as large: look at the cell, not at the file"
ZERO = (
    "the output is zero for every input, so agreement proves nothing; train the model, or look for weights that are "
    "zero and units that are dead"
)
SAME = (
    "the output depends on the input by less than its budget, so agreement proves nothing; train the model, or look "
    "for units that are saturated, weights that are tiny and inputs far from the model's usual scale"
)


class ProvenCase(Protocol):
    """What a verdict needs of one input of a proof; ``str`` describes it."""

    @property
    def time(self) -> int:
        """Number of steps."""

    @property
    def inputs(self) -> str:
        """Kind of the inputs, a `zoo.proof.cases.Inputs`."""

    @property
    def drawn(self) -> bool:
        """Whether shape and inputs follow from a seed."""

    @property
    def alike(self) -> Hashable:
        """A key that is equal for cases that differ in their input alone; None for a case that is not compared."""

    def to_dict(self) -> dict[str, Any]:
        """Return the case as it appears in a report."""


@dataclass(frozen=True)
class Outcome:
    """Comparison of one output of one case with its exact result."""

    case: ProvenCase
    expected: Expected
    file: Comparison
    """The output of the file."""
    torch: Comparison
    """The output of the model's own code, run by torch in float32."""


def overall(statuses: Sequence[str]) -> str:
    """Return one verdict from several.

    The order of precedence is failed, ill-conditioned, inconclusive, passed; unavailable alone is unavailable.
    Ill-conditioned precedes inconclusive: the former holds for the model in float32, whatever the file; the latter
    means only that the evidence is missing.
    """
    ran = [status for status in statuses if status != "unavailable"]
    for status in ("failed", "ill-conditioned", "inconclusive"):
        if status in ran:
            return status
    return "passed" if ran else "unavailable"


def judged_steps(outputs: Iterable[Sequence[Outcome]], least: int) -> int | None:
    """Return the number of steps up to which a verdict is possible on every case of every output.

    Extreme inputs do not count, since they are far outside the use of the model. Drawn shapes do not give the number,
    so that it is the same in every proof of a model as far as possible.

    Returns:
        The largest number of steps of a listed case below the shortest ill-conditioned case. None where no case is
        ill-conditioned, or where the number is below ``least``.
    """
    every = [outcome for outcomes in outputs for outcome in outcomes]
    shortest = min((outcome.case.time for outcome in every if _ill_conditioned(outcome)), default=0)
    listed = (outcome.case.time for outcome in every if not outcome.case.drawn)
    limit = max((steps for steps in listed if steps < shortest), default=0)
    return limit if limit >= max(least, 1) else None


def _ill_conditioned(outcome: Outcome) -> bool:
    """Whether no verdict is possible on a case that is not extreme."""
    return outcome.file.status == "ill-conditioned" and outcome.case.inputs != "extreme"


def _counts(outcome: Outcome, limit: int | None) -> bool:
    """Whether a case counts for the verdict: it failed, or a verdict on it is possible or owed."""
    if outcome.file.status == "failed":
        return True
    beyond = limit is not None and outcome.case.time > limit
    return not beyond and (outcome.file.status == "passed" or _ill_conditioned(outcome))


def reason_beyond(outputs: Mapping[str, Sequence[Outcome]]) -> str:
    """Return why no verdict is possible beyond `judged_steps`: the reason of the shortest ill-conditioned case."""
    named = [(name, outcome) for name, outcomes in outputs.items() for outcome in outcomes]
    ill_conditioned = [item for item in named if _ill_conditioned(item[1])]
    name, shortest = min(ill_conditioned, key=lambda item: item[1].case.time)
    return f"{name}: {shortest.file.reason} ({shortest.case})"


def summary(name: str, every: Sequence[Outcome], limit: int | None, *, state: bool) -> dict[str, Any]:
    """Return the report of one output: its verdict and the worst of all cases.

    Args:
        name: the output.
        every: its outcomes in all cases, in their order.
        limit: number of steps beyond which cases are left out unless they fail; None for no limit.
        state: whether the output is a final state. A state may be independent of the input, as that of a counter is;
            any other output is then inconclusive.
    """
    outcomes = [outcome for outcome in every if _counts(outcome, limit)]
    status = overall([outcome.file.status for outcome in outcomes])
    classes = name in CLASS_OUTPUTS and outcomes[0].expected.exact.shape[-1] > 1
    worst = max((item for item in outcomes if item.file.status == status), key=lambda item: item.file.over_budget)
    reason = f"{worst.file.reason} ({worst.case}){cell_hint(worst.file, worst.torch)}" if status != "passed" else ""
    if status == "passed" and not state:
        reason = _no_evidence(outcomes)
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
        "ill_conditioned_cases": sum(map(_ill_conditioned, every)),
        "extremes_not_judged": sum(
            outcome.file.status == "ill-conditioned" and outcome.case.inputs == "extreme" for outcome in every
        ),
        "agreement": min(outcome.file.agreement for outcome in outcomes) if classes else None,
        "errors": [outcome.file.max_error for outcome in every],
        "budgets": [float(outcome.expected.budget.max()) for outcome in every],
        "by_step": _by_step(every),
    }


def _by_step(outcomes: Sequence[Outcome]) -> dict[str, Any] | None:
    """Return error and budget of each step of the longest case, for a plot; None for an output without steps."""
    index = max(range(len(outcomes)), key=lambda index: outcomes[index].expected.steps)
    longest = outcomes[index]
    if longest.expected.steps == 1 or not longest.file.errors.size:
        return None
    return {"case": index, "errors": longest.file.errors.tolist(), "budgets": longest.expected.budget.tolist()}


def cell_hint(file: Comparison, torch: Comparison) -> str:
    """Return the end of a reason that points to the cell where torch errs as much as the file does; else nothing.

    torch runs the model's own code in float32, so its error is one of the model and not of the file. Two correct
    programs may differ by the factor between budget and sensitivity, so the errors are equal within that factor. A
    failed file must also have torch over its budget; elsewhere the largest errors are compared.
    """
    if file.status == "failed":
        equal = torch.over_budget > 1 and file.over_budget <= SENSITIVITY_FACTOR * torch.over_budget
    else:
        equal = 0 < file.max_error <= SENSITIVITY_FACTOR * torch.max_error
    return f"; {LOOK_AT_THE_CELL}" if equal else ""


def _no_evidence(outcomes: Sequence[Outcome]) -> str:
    """Return why agreement on an output is no evidence: the exact results of other inputs would pass; else nothing."""
    pairs = list(_pairs_of_inputs(outcomes))
    if not pairs or any(distinguishable(first.expected, second.expected.exact) for first, second in pairs):
        return ""
    zero = max(outcome.expected.scale for outcome in outcomes) == 0
    return ZERO if zero else SAME


def _pairs_of_inputs(outcomes: Sequence[Outcome]) -> Iterator[tuple[Outcome, Outcome]]:
    """Yield all ordered pairs of outcomes that differ in their input alone, by shape, lengths and chunks.

    Cases with random states are left out, since the output may depend on the states instead. Extreme inputs are left
    out too: an output that depends on them alone depends on no input of the model's use.
    """
    groups: dict[Hashable, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.case.alike is not None and outcome.case.inputs != "extreme":
            groups.setdefault(outcome.case.alike, []).append(outcome)
    for group in groups.values():
        yield from permutations(group, 2)
