"""The proof of an exported file against its model, on every provider, at shapes and inputs outside the training data.

1. `cases_for` draws the inputs.
2. `Expectations` computes, once for all providers, the exact outputs in float64 and their budgets.
3. In each mode of each provider the file runs on every case, and `zoo.parity.judge` compares each output with the
   exact one: hard gates, then error against budget. torch's own float32 outputs are judged in the same way.
4. `zoo.proof.outcomes.summary` reduces the comparisons of an output to its status: passed, failed, ill-conditioned or
   inconclusive. The worst output gives the status of the mode, the worst mode the verdict.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from zoo.data.dataset import Split
from zoo.errors import DataError, ProviderUnavailable, RunError
from zoo.exporting.exporter import ExportOptions
from zoo.nn.model import Model
from zoo.parity import Array, Expected, judge, with_weights
from zoo.progress import Progress
from zoo.proof.cases import SHAPES, USUAL, Case, Extent, listed_rows
from zoo.proof.domain import Domain
from zoo.proof.expectations import Expectations
from zoo.proof.further import further_rows
from zoo.proof.observed import (
    device_copies,
    difference_over_budget,
    largest_over_budget,
    repeatability,
    repeated_case,
    repeats_fault,
)
from zoo.proof.outcomes import Outcome, ProvenCase, judged_steps, overall, reason_beyond, summary
from zoo.runtime.golden import PRECISION
from zoo.runtime.placement import placement_summary, require_placement
from zoo.runtime.providers import PROVIDERS, PlacedNode, refusal_without_cpu, unavailable
from zoo.runtime.session import OnnxSession, read_onnx
from zoo.versions import versions

LOWERING, STEPS = "lowering", "steps"
"""Keys of a report and of a file's metadata: the requested lowering, and the number of steps where it was requested."""

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Mode:
    """One way to run a file on a provider."""

    name: str
    provider: str
    strict: bool
    """Whether TF32 is disabled."""
    precision: str
    """A key of `zoo.parity.PRECISIONS`: the arithmetic whose rounding is allowed, with weights in float32."""


MODES = {
    "cpu": (Mode("cpu", "cpu", True, "float32"),),
    "cuda": (Mode("cuda strict", "cuda", True, "float32"), Mode("cuda deployed", "cuda", False, "tf32")),
}
"""Modes of each provider. On the CPU, strict and deployed are the same."""


@dataclass(frozen=True)
class FileProperties:
    """Properties of a file that determine its cases and its budgets: those that were asked for at its export.

    They never come from the file's metadata, since a file could then choose the budget that it is judged by.
    """

    lowering: str | None = None
    steps: int | None = None
    """The fixed number of steps, where it was requested. A file that is fixed without a request is proven at all
    shapes, and fails."""
    states: bool = False
    """Whether it takes initial states and returns final ones."""
    precision: str = "float32"
    """Format of its weights: float32, or a key of `zoo.parity.WEIGHT_FORMATS`."""

    @classmethod
    def of(cls, options: ExportOptions) -> Self:
        """Return the properties of a file that was exported with these options."""
        return cls(options.lowering, options.steps, options.states or options.streaming, options.precision)

    @classmethod
    def interface(cls, path: Path) -> Self:
        """Return the properties of a file without a record of its export: the defaults, and its state inputs if any.

        A file that does not load has the defaults; its proof reports the error.
        """
        try:
            return cls(states=bool(OnnxSession(path).states))
        except RunError:
            return cls()

    def to_dict(self) -> dict[str, Any]:
        """Return the properties as they appear in a report."""
        values: dict[str, Any] = {LOWERING: self.lowering, STEPS: self.steps}
        if self.precision != "float32":
            values[PRECISION] = self.precision
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class FileOutputs:
    """Outputs of a file for each case, and the placement of its nodes."""

    outputs: Sequence[Mapping[str, Array]]
    placement: Sequence[PlacedNode]
    repeatability: Mapping[str, Any]
    """Result of `zoo.proof.observed.repeatability` for one case."""
    copies: Sequence[Mapping[str, int]] = ()
    """Result of `zoo.proof.observed.device_copies`; empty where nothing is counted."""


RunFile = Callable[[Path, Mode, Sequence[Any]], FileOutputs]
"""Function that runs a file on the cases; it raises `RunError` or `DataError` where it cannot."""


class ExpectedOutputs(Protocol):
    """Expected outputs of the cases of a proof."""

    @property
    def cases(self) -> Sequence[ProvenCase]:
        """The inputs."""

    @property
    def torch(self) -> Sequence[Mapping[str, Array]]:
        """torch's float32 outputs by name, for each case."""

    @property
    def states(self) -> Collection[str]:
        """Names of the outputs that need not depend on the input."""

    def at(self, precision: str) -> Sequence[Mapping[str, Expected]]:
        """Return, for each case, what a program of a precision may give for each output."""


def prove(
    model: Model,
    path: Path,
    sample: Split,
    providers: Sequence[str],
    file_faults: Sequence[str],
    progress: Progress,
    *,
    properties: FileProperties | None = None,
    extent: Extent = USUAL,
) -> dict[str, Any]:
    """Compare the file at ``path`` with ``model`` and return the report.

    Args:
        model: the trained model, float32 on the CPU.
        path: the exported file.
        sample: sequences from the data, in the user's units.
        providers: keys of `MODES`.
        file_faults: faults of the file that were found before; with any, the verdict is failed.
        progress: called with a short description of each step of the work.
        properties: those that were asked for at the export; None for a file without a record of its export, which is
            judged as a float32 file for any shape.
        extent: the shapes to draw beside the listed ones.

    Returns:
        The report, ready for JSON; its ``verdict`` is passed, failed, ill-conditioned, inconclusive or unavailable.
    """
    extent, properties = extent.seeded(path), properties or FileProperties.interface(path)
    expectations = Expectations(model, cases_for(model, sample, properties, extent=extent), progress)
    report = prove_against(expectations, path, properties, providers, file_faults, data_steps=sample.x.shape[1])
    return {**report, "seed": extent.seed, "thorough": extent.thorough}


def cases_for(
    model: Model,
    sample: Split,
    properties: FileProperties,
    *,
    with_lengths: bool | None = None,
    extent: Extent = USUAL,
) -> list[Case]:
    """Return the cases of a file that takes whole sequences: the listed ones, and those of `zoo.proof.further`.

    The data's own number of steps is among the listed shapes, since a file may pass up to some number of steps only.

    Args:
        model: the model of the file.
        sample: sequences from the data, in the user's units.
        properties: those of the file.
        with_lengths: whether the file takes lengths; as the model when None.
        extent: what is drawn beside the listed shapes.
    """
    with_lengths = model.takes_lengths if with_lengths is None else with_lengths
    own, domain, steps = sample.x.shape[1], Domain.of(model), properties.steps
    shapes = SHAPES if own in [time for _, time in SHAPES] else (*SHAPES, (3, own))
    if steps is not None:
        shapes = tuple(dict.fromkeys((batch, steps) for batch, _ in SHAPES))
    listed = listed_rows(sample.x.numpy(), domain, with_lengths=with_lengths, shapes=shapes)
    further = further_rows(sample, domain, extent, with_lengths=with_lengths, steps=steps)
    stateful = model if properties.states else None
    return [case for rows in (*listed, *further) for case in rows.whole(stateful)]


def run_whole_sequences(path: Path, mode: Mode, cases: Sequence[Case]) -> FileOutputs:
    """Run a file on all steps of each case at once; a `RunFile`."""
    session = OnnxSession(path, mode.provider, strict=mode.strict)
    outputs = [session.run(case.x, case.lengths, case.states) for case in cases]
    case = repeated_case(cases)
    repeats = repeatability(session, case.x, case.lengths, case.states)
    return FileOutputs(outputs, session.placement(), repeats, copies(path, mode, cases))


def copies(path: Path, mode: Mode, cases: Sequence[Case]) -> Sequence[Mapping[str, int]]:
    """Count the copies between devices for the longest case; none on the CPU and where the placement is known."""
    if mode.provider == "cpu" or not mode.strict:  # the placement is the same in every mode of a provider
        return ()
    return device_copies(path, mode.provider, min(cases, key=lambda case: (-case.time, case.batch)).x)


def prove_against(
    expectations: ExpectedOutputs,
    path: Path,
    properties: FileProperties,
    providers: Sequence[str],
    file_faults: Sequence[str],
    run_file: RunFile = run_whole_sequences,
    *,
    data_steps: int | None = None,
) -> dict[str, Any]:
    """Compare a file with the expectations and return the report; see `prove`.

    Args:
        expectations: exact outputs and budgets of all cases.
        path: the file.
        properties: those of the file.
        providers: keys of `MODES`.
        file_faults: faults of the file that were found before.
        run_file: runs the file on the cases.
        data_steps: the data's number of steps. A file on which a verdict is possible up to at least so many steps, and
            not beyond, passes up to there; the result then has ``judged_steps``, and the reason in ``beyond``. When
            None, a verdict must be possible on every case.
    """
    began = time.monotonic()
    cases = expectations.cases
    modes = [
        replace(mode, precision=with_weights(mode.precision, properties.precision))
        for provider in providers
        for mode in MODES[provider]
    ]
    runs = [_prove_on(mode, path, run_file, expectations, data_steps) for mode in modes]
    _compare_with_cpu(modes, runs, expectations)
    results = [result for result, _ in runs]
    verdict = "failed" if file_faults else overall([result["status"] for result in results])
    explained = ("unavailable",) if verdict == "unavailable" else ("failed", "ill-conditioned", "inconclusive")
    return {
        "schema_version": SCHEMA_VERSION,
        "file": path.name,
        **properties.to_dict(),
        "verdict": verdict,
        "reasons": [*file_faults, *(f"{r['name']}: {r['reason']}" for r in results if r["status"] in explained)],
        "rule": "error <= 8 * sensitivity + 4 * eps * scale",
        **({} if data_steps is None else {"data_steps": data_steps}),
        "cases": [case.to_dict() for case in cases],
        "providers": results,
        "seconds": time.monotonic() - began,
        "versions": versions(),
    }


class ProviderRequest(NamedTuple):
    """Providers on which a proof runs."""

    providers: tuple[str, ...]
    """Keys of `MODES`."""
    asked: tuple[str, ...] = ()
    """Those that the user named."""
    required: tuple[str, ...] = ()
    """Those that must be available."""

    def enforce(self, report: dict[str, Any]) -> None:
        """Check that the required providers ran, and fail the report where recurrent nodes ran elsewhere than asked.

        Raises:
            ProviderUnavailable: where a required provider is unavailable, or all of them are.
        """
        for result in report["providers"]:
            needed = result["provider"] in self.required or report["verdict"] == "unavailable"
            if needed and result["status"] == "unavailable":
                raise ProviderUnavailable(f"{result['name']}: unavailable: {result['reason']}")
        require_placement(report, self.asked)


def _prove_on(
    mode: Mode, path: Path, run_file: RunFile, expectations: ExpectedOutputs, data_steps: int | None
) -> tuple[dict[str, Any], FileOutputs | None]:
    """Run and judge all cases in one mode.

    Returns:
        The result for the report, and the outputs; None where they cannot be judged.
    """
    result: dict[str, Any] = {"name": mode.name, "provider": mode.provider, "precision": mode.precision, "outputs": []}
    if reason := unavailable(mode.provider):
        return {**result, "status": "unavailable", "reason": reason}, None
    try:
        actual = run_file(path, mode, expectations.cases)
        observations = _observations(mode, path, actual)
    except (RunError, DataError) as error:
        return {**result, "status": "failed", "reason": str(error)}, None
    expected = expectations.at(mode.precision)
    if set(actual.outputs[0]) != set(expected[0]):
        names = f"{', '.join(actual.outputs[0])} instead of {', '.join(expected[0])}"
        return {**result, "status": "failed", "reason": f"the outputs are {names}"}, None
    outcomes: dict[str, list[Outcome]] = {name: [] for name in expected[0]}
    rows = zip(expectations.cases, expected, actual.outputs, expectations.torch, strict=True)
    for case, exact, file_outputs, torch_outputs in rows:
        from_file, from_torch = judge(exact, file_outputs), judge(exact, torch_outputs)
        for name in outcomes:
            outcomes[name].append(Outcome(case, exact[name], from_file[name], from_torch[name]))
    limit = None if data_steps is None else judged_steps(outcomes.values(), data_steps)
    if limit is not None:
        result |= {"judged_steps": limit, "beyond": reason_beyond(outcomes)}
    summaries = [summary(name, every, limit, state=name in expectations.states) for name, every in outcomes.items()]
    status = overall([output["status"] for output in summaries])
    reason = "; ".join(f"{output['name']}: {output['reason']}" for output in summaries if output["reason"])
    if fault := repeats_fault(actual.repeatability, mode.provider):
        status, reason = "failed", "; ".join([fault, *([reason] if status == "failed" else [])])
    counts = Counter(node.provider for node in actual.placement)
    if status != "failed" and PROVIDERS[mode.provider] not in counts:
        status, reason = "failed", f"no node ran on {mode.provider}; ONNX Runtime placed them on {', '.join(counts)}"
    result |= {"status": status, "reason": reason, "nodes": dict(counts), **observations, "outputs": summaries}
    return result, actual


def _observations(mode: Mode, path: Path, actual: FileOutputs) -> dict[str, Any]:
    """Return placement and repeatability; on another provider than the CPU also copies and a run without the CPU."""
    content = read_onnx(path)
    observations = {
        "placement": [{"name": n.name, "operator": n.operator, "provider": n.provider} for n in actual.placement],
        **placement_summary(content, actual.placement, mode.provider),
        "repeats": actual.repeatability,
    }
    if mode.provider == "cpu" or not mode.strict:
        return observations
    return {
        **observations,
        **({"memcpy": actual.copies} if actual.copies else {}),
        "alone": refusal_without_cpu(content, mode.provider) or "starts",
    }


def _compare_with_cpu(
    modes: Sequence[Mode], runs: Sequence[tuple[dict[str, Any], FileOutputs | None]], expectations: ExpectedOutputs
) -> None:
    """Add to the result of each provider but the CPU its distances in units of the budget without TF32.

    ``tf32`` has the distance from the exact outputs, which shows whether TF32 was used. ``against_cpu`` has the
    distance from the CPU's outputs, where that ran too.
    """
    on_cpu = next((actual for mode, (_, actual) in zip(modes, runs, strict=True) if mode.provider == "cpu"), None)
    for mode, (result, actual) in zip(modes, runs, strict=True):
        if mode.provider == "cpu" or actual is None:
            continue
        expected = expectations.at(mode.precision.replace("tf32", "float32"))
        over = largest_over_budget(expected, actual.outputs)
        result["tf32"] = {"seen": over > 1, "over_budget": over, "override": os.environ.get("NVIDIA_TF32_OVERRIDE")}
        if on_cpu is not None:
            result["against_cpu"] = difference_over_budget(expected, on_cpu.outputs, actual.outputs)
