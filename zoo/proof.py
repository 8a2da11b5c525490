"""The proof: an exported file against its model, on every provider, at shapes and inputs it has never seen."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from zoo.cases import SHAPES, Case, draw_cases, with_states
from zoo.dataset import Split
from zoo.errors import DataError, ProviderUnavailable, RunError
from zoo.expectations import Expectations
from zoo.golden import PRECISION
from zoo.model import Model
from zoo.observed import apart, copies, largest_over, middling, repeats
from zoo.parity import Array, Comparison, Expected, judge, with_weights
from zoo.placement import describe, insist_on_placement
from zoo.providers import PROVIDERS, PlacedNode, refusal_alone, unavailable
from zoo.readout import CLASS_OUTPUTS
from zoo.session import OnnxSession, read_onnx
from zoo.versions import versions

LOWERING, STEPS = "lowering", "steps"
"""Entries of a file's metadata: the lowering that was asked for, and how many steps it takes where it was asked to take
a fixed number of them."""

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Mode:
    """One way to run the file."""

    name: str
    provider: str
    strict: bool
    precision: str
    """The precision whose roundings it may make, with weights in float32."""


MODES = {
    "cpu": (Mode("cpu", "cpu", True, "float32"),),
    "cuda": (Mode("cuda strict", "cuda", True, "float32"), Mode("cuda deployed", "cuda", False, "tf32")),
}
"""How each provider is run. On the CPU, strict and deployed are the same."""


@dataclass(frozen=True)
class Made:
    """What a file says of how it was made."""

    lowering: str | None = None
    steps: int | None = None
    """How many steps it takes, where it was asked to take a fixed number. A file that does so unasked has frozen."""
    states: bool = False
    """Whether it takes the states before the first step and gives those after the last one."""
    precision: str = "float32"
    """What it keeps its weights in; see `zoo.parity.KEPT`."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """From the file, or nothing where it does not load, which its proof will tell."""
        try:
            session = OnnxSession(path)
        except RunError:
            return cls()
        fixed = session.input.steps
        asked = fixed is not None and session.metadata.get(STEPS) == str(fixed)
        return cls(
            session.metadata.get(LOWERING),
            fixed if asked else None,
            bool(session.states),
            session.metadata.get(PRECISION, "float32"),
        )

    def to_dict(self) -> dict[str, Any]:
        """What a report says of it."""
        told = {LOWERING: self.lowering, STEPS: self.steps}
        if self.precision != "float32":
            told[PRECISION] = self.precision
        return {name: value for name, value in told.items() if value is not None}


@dataclass(frozen=True)
class Answers:
    """What a file gave for each case, and where it ran."""

    outputs: Sequence[Mapping[str, Array]]
    placement: Sequence[PlacedNode]
    repeats: Mapping[str, Any]
    """What `zoo.observed.repeats` says of one of them."""


Answer = Callable[[Path, Mode, Sequence[Case]], Answers]
"""Runs a file; raises `RunError` or `DataError` where it cannot."""


def prove(
    model: Model,
    path: Path,
    sample: Split,
    providers: Sequence[str],
    file_faults: Sequence[str],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Compare the file at ``path`` with ``model`` and report.

    Args:
        model: the trained model, float32 on the CPU.
        path: the exported file.
        sample: sequences from the data, in the user's units.
        providers: keys of `MODES`.
        file_faults: what is already known to be wrong with the file.
        progress: told what is being done, a few words at a time.

    Returns:
        The report, ready for JSON; its ``verdict`` is passed, failed, ill-conditioned or unavailable.
    """
    made = Made.read(path)
    expectations = Expectations(model, cases_for(model, sample, made), progress)
    return prove_against(expectations, path, made, providers, file_faults)


def cases_for(model: Model, sample: Split, made: Made, *, with_lengths: bool | None = None) -> list[Case]:
    """The inputs of a proof of a file that takes whole sequences; with lengths where the model takes them when None."""
    with_lengths = model.takes_lengths if with_lengths is None else with_lengths
    shapes = SHAPES if made.steps is None else tuple(dict.fromkeys((batch, made.steps) for batch, _ in SHAPES))
    drawn = draw_cases(sample.x.numpy(), model.encoder.tokens, with_lengths=with_lengths, shapes=shapes)
    return list(with_states(model, list(drawn)) if made.states else drawn)


def whole_sequences(path: Path, mode: Mode, cases: Sequence[Case]) -> Answers:
    """Run a file on all steps at once; an `Answer`."""
    session = OnnxSession(path, mode.provider, strict=mode.strict)
    outputs = [session.run(case.x, case.lengths, case.states) for case in cases]
    again = cases[middling([case.batch * case.time for case in cases])]
    return Answers(outputs, session.placement(), repeats(session, again.x, again.lengths, again.states))


def prove_against(
    expectations: Expectations,
    path: Path,
    made: Made,
    providers: Sequence[str],
    file_faults: Sequence[str],
    answer: Answer = whole_sequences,
) -> dict[str, Any]:
    """Compare what ``answer`` makes of a file with what is expected of it; see `prove`."""
    began = time.monotonic()
    cases = expectations.cases
    modes = [
        replace(mode, precision=with_weights(mode.precision, made.precision))
        for provider in providers
        for mode in MODES[provider]
    ]
    runs = [_prove_on(mode, path, answer, expectations) for mode in modes]
    _compare_with_cpu(modes, runs, expectations)
    results = [result for result, _ in runs]
    verdict = "failed" if file_faults else overall([result["status"] for result in results])
    telling = ("unavailable",) if verdict == "unavailable" else ("failed", "ill-conditioned")
    return {
        "schema_version": SCHEMA_VERSION,
        "file": path.name,
        **made.to_dict(),
        "verdict": verdict,
        "reasons": [*file_faults, *(f"{r['name']}: {r['reason']}" for r in results if r["status"] in telling)],
        "rule": "error <= 8 * sensitivity + 4 * eps * scale",
        "cases": [case.to_dict() for case in cases],
        "providers": results,
        "seconds": time.monotonic() - began,
        "versions": versions(),
    }


def overall(statuses: Sequence[str]) -> str:
    """One verdict from several: a failure outweighs everything, and what did not run proves nothing."""
    ran = [status for status in statuses if status != "unavailable"]
    for status in ("failed", "ill-conditioned"):
        if status in ran:
            return status
    return "passed" if ran else "unavailable"


class Wanted(NamedTuple):
    """The providers that a proof is to run on."""

    providers: tuple[str, ...]
    """Keys of `MODES`."""
    asked: tuple[str, ...] = ()
    """Those of them that the user has named."""
    required: tuple[str, ...] = ()
    """Those of them without which nothing is proven."""

    def insist(self, report: dict[str, Any]) -> None:
        """See that what is required ran, that anything did, and that what recurs ran on what was asked for: where it
        did not, the report fails.

        Raises:
            ProviderUnavailable: naming what is missing.
        """
        for result in report["providers"]:
            needed = result["provider"] in self.required or report["verdict"] == "unavailable"
            if needed and result["status"] == "unavailable":
                raise ProviderUnavailable(f"{result['name']}: unavailable: {result['reason']}")
        insist_on_placement(report, self.asked)


@dataclass(frozen=True)
class _Outcome:
    """One output in one case."""

    case: Case
    expected: Expected
    file: Comparison
    torch: Comparison
    """What torch itself, in float32, makes of it."""


def _prove_on(
    mode: Mode, path: Path, answer: Answer, expectations: Expectations
) -> tuple[dict[str, Any], Answers | None]:
    """All cases on one provider, in one mode: what the report says of it, and the answers where they can be judged."""
    result = {"name": mode.name, "provider": mode.provider, "precision": mode.precision, "outputs": []}
    if reason := unavailable(mode.provider):
        return {**result, "status": "unavailable", "reason": reason}, None
    try:
        answers = answer(path, mode, expectations.cases)
        seen = _seen(mode, path, expectations.cases, answers)
    except (RunError, DataError) as error:
        return {**result, "status": "failed", "reason": str(error)}, None
    wanted = expectations.at(mode.precision)
    if set(answers.outputs[0]) != set(wanted[0]):
        names = f"{', '.join(answers.outputs[0])} instead of {', '.join(wanted[0])}"
        return {**result, "status": "failed", "reason": f"the outputs are {names}"}, None
    outcomes: dict[str, list[_Outcome]] = {name: [] for name in wanted[0]}
    for case, expected, found, own in zip(expectations.cases, wanted, answers.outputs, expectations.torch, strict=True):
        file, torch_ = judge(expected, found), judge(expected, own)
        for name, known in outcomes.items():
            known.append(_Outcome(case, expected[name], file[name], torch_[name]))
    summaries = [_summary(name, known, state=name in expectations.states) for name, known in outcomes.items()]
    status = overall([summary["status"] for summary in summaries])
    reason = "; ".join(f"{summary['name']}: {summary['reason']}" for summary in summaries if summary["reason"])
    counts = Counter(node.provider for node in answers.placement)
    if status != "failed" and PROVIDERS[mode.provider] not in counts:
        status, reason = "failed", f"no node ran on {mode.provider}; ONNX Runtime placed them on {', '.join(counts)}"
    told = {"status": status, "reason": reason, "nodes": dict(counts), **seen, "outputs": summaries}
    return {**result, **told}, answers


def _seen(mode: Mode, path: Path, cases: Sequence[Case], answers: Answers) -> dict[str, Any]:
    """Where the nodes ran, and what else there is to see; of another provider than the CPU more."""
    content = read_onnx(path)
    seen = {
        "placement": [{"name": n.name, "operator": n.operator, "provider": n.provider} for n in answers.placement],
        **describe(content, answers.placement, mode.provider),
        "repeats": answers.repeats,
    }
    if mode.provider == "cpu" or not mode.strict:  # the nodes are placed in the same way in every mode
        return seen
    longest = min(cases, key=lambda case: (-case.time, case.batch))
    return {
        **seen,
        "memcpy": copies(path, mode.provider, longest.x),
        "alone": refusal_alone(content, mode.provider) or "starts",
    }


def _compare_with_cpu(
    modes: Sequence[Mode], runs: Sequence[tuple[dict[str, Any], Answers | None]], expectations: Expectations
) -> None:
    """Tell of each provider but the CPU, in units of the budget of its arithmetic without TF32: how far its answers are
    from the exact ones, which shows whether TF32 was used, and how far from the CPU's, where that ran too."""
    on_cpu = next((answers for mode, (_, answers) in zip(modes, runs, strict=True) if mode.provider == "cpu"), None)
    for mode, (result, answers) in zip(modes, runs, strict=True):
        if mode.provider == "cpu" or answers is None:
            continue
        fine = expectations.at(mode.precision.replace("tf32", "float32"))
        over = largest_over(fine, answers.outputs)
        result["tf32"] = {"seen": over > 1, "over_budget": over, "override": os.environ.get("NVIDIA_TF32_OVERRIDE")}
        if on_cpu is not None:
            result["against_cpu"] = apart(fine, on_cpu.outputs, answers.outputs)


def _summary(name: str, outcomes: Sequence[_Outcome], *, state: bool) -> dict[str, Any]:
    """The worst of all cases of one output, and whether it proves anything at all. A ``state`` need not depend on the
    input, as that of a counter does not."""
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
        "ill_conditioned_cases": sum(outcome.file.status == "ill-conditioned" for outcome in outcomes),
        "agreement": min(outcome.file.agreement for outcome in outcomes) if classes else None,
        "errors": [one.file.max_error for one in outcomes],
        "budgets": [float(one.expected.budget.max()) for one in outcomes],
        "by_step": _by_step(outcomes),
    }


def _by_step(outcomes: Sequence[_Outcome]) -> dict[str, Any] | None:
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
