"""What came of the inputs of a proof, output by output: how near each came to its budget, and the worst of all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.parity import Comparison, Expected
from zoo.proof.cases import Case
from zoo.readout import CLASS_OUTPUTS


@dataclass(frozen=True)
class Outcome:
    """One output in one case."""

    case: Case
    expected: Expected
    file: Comparison
    torch: Comparison
    """What torch itself, in float32, makes of it."""


def overall(statuses: Sequence[str]) -> str:
    """One verdict from several: a failure outweighs everything, and what did not run proves nothing."""
    ran = [status for status in statuses if status != "unavailable"]
    for status in ("failed", "ill-conditioned"):
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


def summary(name: str, every: Sequence[Outcome], limit: int | None, *, state: bool) -> dict[str, Any]:
    """The worst of all cases of one output, and whether it proves anything at all. A ``state`` need not depend on the
    input, as that of a counter does not. Ill-conditioned cases beyond a ``limit`` of steps are left out."""
    outcomes = [one for one in every if limit is None or one.case.time <= limit or one.file.status == "failed"]
    status = overall([outcome.file.status for outcome in outcomes])
    classes = name in CLASS_OUTPUTS and outcomes[0].expected.exact.shape[-1] > 1
    worst = max((one for one in outcomes if one.file.status == status), key=lambda one: one.file.over_budget)
    reason = f"{worst.file.reason} ({worst.case})" if status != "passed" else ""
    empty = "" if state else _proves_nothing([outcome.expected for outcome in outcomes])
    if status != "failed" and empty:
        status, reason = "failed", empty
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


def _proves_nothing(expected: Sequence[Expected]) -> str:
    """Agreement on an output that is zero, or the same for every input, would be no evidence."""
    if max(one.scale for one in expected) < 1e-12:
        return "the output is zero for every input, so agreement proves nothing; train the model"
    rows = np.concatenate([one.exact.reshape(-1, one.exact.shape[-1]) for one in expected])
    if float(np.ptp(rows, axis=0).max()) <= 1e-9 * float(np.abs(rows).max()):
        return "the output does not depend on the input, so agreement proves nothing; train the model"
    return ""
