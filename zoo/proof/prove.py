"""The proof: an exported file against its model, on every provider, at shapes and inputs it has never seen."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from zoo.data.dataset import Split
from zoo.errors import DataError, ProviderUnavailable, RunError
from zoo.nn.model import Model
from zoo.parity import Array, judge, with_weights
from zoo.proof.cases import SHAPES, Case, draw_cases, with_states
from zoo.proof.expectations import Expectations
from zoo.proof.observed import device_copies, difference_over_budget, largest_over_budget, median_index, repeatability
from zoo.proof.outcomes import Outcome, judged_steps, overall, summary, why_not_beyond
from zoo.runtime.golden import PRECISION
from zoo.runtime.placement import describe, insist_on_placement
from zoo.runtime.providers import PROVIDERS, PlacedNode, refusal_alone, unavailable
from zoo.runtime.session import OnnxSession, read_onnx
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
class FileProperties:
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
    """What `zoo.proof.observed.repeatability` says of one of them."""


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
        The report, ready for JSON; its ``verdict`` is passed, failed, ill-conditioned, inconclusive or unavailable.
    """
    made = FileProperties.read(path)
    expectations = Expectations(model, cases_for(model, sample, made), progress)
    return prove_against(expectations, path, made, providers, file_faults, usual_steps=sample.x.shape[1])


def cases_for(model: Model, sample: Split, made: FileProperties, *, with_lengths: bool | None = None) -> list[Case]:
    """The inputs of a proof of a file that takes whole sequences; with lengths where the model takes them when None.

    Since a file may be judged up to some number of steps alone, the data's own number is among them. One of float32
    that is judged at the longest shape needs no longer one, and gets none: exact results take time by the step.
    """
    with_lengths = model.takes_lengths if with_lengths is None else with_lengths
    own, listed = sample.x.shape[1], [time for _, time in SHAPES]
    further = own not in listed and (own < max(listed) or made.precision != "float32")
    shapes: tuple[tuple[int, int], ...] = (*SHAPES, (3, own)) if further else SHAPES
    if made.steps is not None:
        shapes = tuple(dict.fromkeys((batch, made.steps) for batch, _ in SHAPES))
    drawn = draw_cases(sample.x.numpy(), model.encoder.tokens, with_lengths=with_lengths, shapes=shapes)
    return list(with_states(model, list(drawn)) if made.states else drawn)


def whole_sequences(path: Path, mode: Mode, cases: Sequence[Case]) -> Answers:
    """Run a file on all steps at once; an `Answer`."""
    session = OnnxSession(path, mode.provider, strict=mode.strict)
    outputs = [session.run(case.x, case.lengths, case.states) for case in cases]
    again = cases[median_index([case.batch * case.time for case in cases])]
    return Answers(outputs, session.placement(), repeatability(session, again.x, again.lengths, again.states))


def prove_against(
    expectations: Expectations,
    path: Path,
    made: FileProperties,
    providers: Sequence[str],
    file_faults: Sequence[str],
    answer: Answer = whole_sequences,
    *,
    usual_steps: int | None = None,
) -> dict[str, Any]:
    """Compare what ``answer`` makes of a file with what is expected of it; see `prove`.

    ``usual_steps`` are those of the data. A file on which a verdict is possible up to so many steps at least, and
    beyond is not, has passed up to there: ``judged_steps``, with the reason in ``beyond``. Where they are unknown a
    verdict has to be possible on every case.
    """
    began = time.monotonic()
    cases = expectations.cases
    modes = [
        replace(mode, precision=with_weights(mode.precision, made.precision))
        for provider in providers
        for mode in MODES[provider]
    ]
    runs = [_prove_on(mode, path, answer, expectations, usual_steps) for mode in modes]
    _compare_with_cpu(modes, runs, expectations)
    results = [result for result, _ in runs]
    verdict = "failed" if file_faults else overall([result["status"] for result in results])
    telling = ("unavailable",) if verdict == "unavailable" else ("failed", "ill-conditioned", "inconclusive")
    return {
        "schema_version": SCHEMA_VERSION,
        "file": path.name,
        **made.to_dict(),
        "verdict": verdict,
        "reasons": [*file_faults, *(f"{r['name']}: {r['reason']}" for r in results if r["status"] in telling)],
        "rule": "error <= 8 * sensitivity + 4 * eps * scale",
        **({} if usual_steps is None else {"data_steps": usual_steps}),
        "cases": [case.to_dict() for case in cases],
        "providers": results,
        "seconds": time.monotonic() - began,
        "versions": versions(),
    }


class ProviderRequest(NamedTuple):
    """The providers that a proof is to run on."""

    providers: tuple[str, ...]
    """Keys of `MODES`."""
    asked: tuple[str, ...] = ()
    """Those of them that the user has named."""
    required: tuple[str, ...] = ()
    """Those of them without which nothing is proven."""

    def enforce(self, report: dict[str, Any]) -> None:
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


def _prove_on(
    mode: Mode, path: Path, answer: Answer, expectations: Expectations, least_steps: int | None
) -> tuple[dict[str, Any], Answers | None]:
    """All cases on one provider, in one mode: what the report says of it, and the answers where they can be judged.

    With ``least_steps`` it is enough that a verdict is possible up to so many steps; see `judged_steps`.
    """
    result: dict[str, Any] = {"name": mode.name, "provider": mode.provider, "precision": mode.precision, "outputs": []}
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
    outcomes: dict[str, list[Outcome]] = {name: [] for name in wanted[0]}
    for case, expected, found, own in zip(expectations.cases, wanted, answers.outputs, expectations.torch, strict=True):
        file, torch_ = judge(expected, found), judge(expected, own)
        for name, known in outcomes.items():
            known.append(Outcome(case, expected[name], file[name], torch_[name]))
    limit = None if least_steps is None else judged_steps(outcomes.values(), least_steps)
    if limit is not None:
        result |= {"judged_steps": limit, "beyond": why_not_beyond(outcomes)}
    summaries = [summary(name, known, limit, state=name in expectations.states) for name, known in outcomes.items()]
    status = overall([one["status"] for one in summaries])
    reason = "; ".join(f"{one['name']}: {one['reason']}" for one in summaries if one["reason"])
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
        "memcpy": device_copies(path, mode.provider, longest.x),
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
        over = largest_over_budget(fine, answers.outputs)
        result["tf32"] = {"seen": over > 1, "over_budget": over, "override": os.environ.get("NVIDIA_TF32_OVERRIDE")}
        if on_cpu is not None:
            result["against_cpu"] = difference_over_budget(fine, on_cpu.outputs, answers.outputs)
