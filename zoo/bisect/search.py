"""Search for the first wrong node of a file that fails its proof, and for the first wrong step inside a loop over time.

The values inside the file are compared with the oracle's in the order in which the model computes them. The fault lies
between the last good value and the first bad one. The nodes between them are compared with a fresh export of the same
model, which reveals a wrong weight, attribute or connection.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from zoo.bisect.folder import write_folder
from zoo.bisect.inside import Inspection, Inspector, JudgedValue
from zoo.data.dataset import Split
from zoo.errors import ParityError
from zoo.exporting.dissection import Difference, Dissection, Probe
from zoo.exporting.exporter import Exporter, ExportOptions, Lowering, Precision
from zoo.nn.model import Model
from zoo.parity import WEIGHT_FORMATS, judge, with_weights
from zoo.progress import Progress
from zoo.proof.cases import USUAL, Case, Extent, fill_padding
from zoo.proof.domain import Domain
from zoo.proof.expectations import Expectations
from zoo.proof.oracle import Oracle
from zoo.proof.outcomes import overall
from zoo.proof.prove import LOWERING, FileProperties, cases_for
from zoo.proof.trace import describe_value, has_steps, reads_backward
from zoo.runtime.golden import PRECISION
from zoo.runtime.session import OnnxSession
from zoo.runtime.streaming import CHUNKS, CHUNKS_KEY
from zoo.versions import versions

SCHEMA_VERSION = 1
SMALL = 100
"""Largest number of steps, over the batch, of the cases that give the usual scale of the values."""


@dataclass(frozen=True)
class Suspect:
    """A file to search, with its model and the expected outputs."""

    path: Path
    model: Model
    exporter: Exporter
    session: OnnxSession
    expectations: Expectations
    """Those of the model on the cases of the proof."""
    recorded: ExportOptions | None = None
    """The options in the record of its export; None for a file without a record."""

    @property
    def precision(self) -> str:
        """The key of `zoo.parity.ALL_PRECISIONS` that belongs to the format of its weights."""
        kept = self.options.precision
        return with_weights("float32", kept if kept in WEIGHT_FORMATS else "float32")

    @property
    def options(self) -> ExportOptions:
        """The options of its export, from its record; without one, as the file states them."""
        return self.recorded or stated_options(self.session)


def stated_options(session: OnnxSession) -> ExportOptions:
    """Return the options of an export as the file itself states them; enough for a search, never for a verdict."""
    metadata = session.metadata
    opset, lowering = metadata.get("opset"), metadata.get(LOWERING, "auto")
    return ExportOptions(
        None if opset is None else int(opset),
        cast("Lowering", lowering),  # the exporter rejects other values
        steps=session.input.steps if lowering == "unrolled" else None,
        states=bool(session.states),
        streaming=metadata.get(CHUNKS_KEY) == CHUNKS,
        precision=cast("Precision", metadata.get(PRECISION, "float32")),
    )


def open_suspect(
    path: Path,
    model: Model,
    exporter: Exporter,
    sample: Split,
    progress: Progress,
    recorded: ExportOptions | None = None,
    extent: Extent = USUAL,
) -> Suspect:
    """Return a file with the outputs that are expected of it on the cases of its proof.

    Args:
        path: the file.
        model: the model of its run.
        exporter: the exporter that wrote it.
        sample: data of the run, in the user's units.
        progress: called with a short description of each step of the work.
        recorded: the options in the record of its export; None for a file without a record.
        extent: that of its proof, so that a file that failed at a drawn shape fails here too.

    Raises:
        RunError: where the file does not load.
    """
    session = OnnxSession(path)
    # A streaming file takes no lengths, and runs on each sequence in one chunk.
    properties = FileProperties.of(recorded or stated_options(session))
    cases = cases_for(model, sample, properties, with_lengths=session.takes_lengths, extent=extent)
    return Suspect(path, model, exporter, session, Expectations(model, cases, progress), recorded)


def bisect(suspect: Suspect, folder: Path, progress: Progress) -> dict[str, Any]:
    """Find the first wrong node and write the smallest failing piece into ``folder``.

    Args:
        suspect: the file.
        folder: written where the verdict is failed, in place of an older one.
        progress: called with a short description of each step of the work.

    Returns:
        The report, ready for JSON; its ``verdict`` is that of the proof on the CPU. Where it is ``failed`` the folder
        contains the same report and the piece; see `zoo.bisect.folder`.

    Raises:
        ParityError: where the file has other outputs than the model, so that nothing can be compared.
        RunError: where ONNX Runtime fails on it.
    """
    began = time.monotonic()
    verdict, failing = _failing(suspect)
    report: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "file": suspect.path.name, "verdict": verdict}
    if not failing:
        return {**report, "seconds": time.monotonic() - began}
    case = min(failing, key=lambda case: case.x.size)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        dissection = suspect.exporter.dissect(suspect.path)
        progress("looking inside")
        copy = scratch / suspect.path.name
        small = [case for case in suspect.expectations.cases if case.batch * case.time <= SMALL]
        inspector = Inspector(
            Oracle(suspect.model), suspect.session, copy, dissection.probes(copy), suspect.precision, small or [case]
        )
        inspection, optimised = _first_inspection(inspector, case)
        if not optimised:
            inspection = _shrink(inspector, inspection, suspect.session.input.steps is None, progress)
        bad = inspection.bad
        progress("comparing with a fresh export")
        causes = _causes(suspect, dissection, bad.probe, inspection, scratch) if bad else []
        report |= _findings(suspect.model, inspection, causes, optimised=optimised)
        report |= {"versions": versions(), "seconds": time.monotonic() - began}
        write_folder(folder, report, dissection, suspect.model, inspection)
    return report


def _failing(suspect: Suspect) -> tuple[str, list[Case]]:
    """Return the verdict of the proof and the cases that fail it."""
    expectations = suspect.expectations
    statuses, failing = [], []
    for case, expected in zip(expectations.cases, expectations.at(suspect.precision), strict=True):
        actual = suspect.session.run(case.x, case.lengths, case.states)
        if set(actual) != set(expected):
            raise ParityError(
                f"{suspect.path}: its outputs are {', '.join(actual)}, the model's are {', '.join(expected)}; without "
                "the model's outputs nothing can be compared, so export the run again"
            )
        status = overall([result.status for result in judge(expected, actual).values()])
        statuses.append(status)
        failing += [case] if status == "failed" else []
    return overall(statuses), failing


def _first_inspection(inspector: Inspector, case: Case) -> tuple[Inspection, bool]:
    """Return the values of a failing case, and whether only ONNX Runtime's optimised graph could show a bad one."""
    inspection = inspector.inspect(case)
    if inspection.bad is not None:
        return inspection, False
    return inspector.inspect(case, optimised=True), True


def _shrink(inspector: Inspector, inspection: Inspection, free: bool, progress: Progress) -> Inspection:
    """Return the inspection of the smallest input with the same first bad value: one sequence, few steps.

    Args:
        inspector: runs the smaller inputs.
        inspection: that of the whole input.
        free: whether the file takes any number of steps.
        progress: called with a short description of each step of the work.
    """
    for case in _smaller(inspection, free, Domain.of(inspector.oracle.model)):
        progress(f"trying {case}")
        smaller = inspector.inspect(case)
        if smaller.bad is not None and inspection.bad is not None and smaller.bad.probe == inspection.bad.probe:
            return smaller
    return inspection


def _smaller(inspection: Inspection, free: bool, domain: Domain) -> Iterator[Case]:
    """Yield one sequence with fewer steps, the fewest first; then that sequence; then the batch with fewer steps."""
    case, error = inspection.case, inspection.bad.first_error if inspection.bad else None
    lengths = [2**power * part // 2 for power in range(1, 12) for part in (2, 3)] if free else []
    fewer = [steps for steps in dict.fromkeys([1, *lengths]) if steps < case.time] if free else []
    row = error.row if error else 0
    sequence = _cut(case, slice(row, row + 1), case.time)
    for whole in [sequence, case] if case.batch > 1 else [case]:
        for steps in fewer:
            yield _cut(whole, slice(None), steps)
            if whole.lengths is not None and steps > 1:  # with a step of padding, which a fault may need
                yield _padded(_cut(whole, slice(None), steps), domain)
        if whole is not case:
            yield whole


def _cut(case: Case, rows: slice, steps: int) -> Case:
    """Return the first steps of some sequences of a case."""
    x = case.x[rows, :steps]
    lengths = None if case.lengths is None else case.lengths[rows].clip(max=steps)
    states = None if case.states is None else {name: array[rows] for name, array in case.states.items()}
    return replace(case, batch=len(x), time=x.shape[1], x=x, lengths=lengths, states=states)


def _padded(case: Case, domain: Domain) -> Case:
    """Return a case with lengths that leave at least the last step of every sequence to the padding."""
    assert case.lengths is not None
    x, lengths = case.x.copy(), case.lengths.clip(max=case.time - 1)
    fill_padding(x, lengths, domain)
    return replace(case, x=x, lengths=lengths)


def _causes(
    suspect: Suspect, dissection: Dissection, bad: Probe, inspection: Inspection, scratch: Path
) -> Sequence[Difference]:
    """Return the causes of the first bad value: products that this CPU computes wrongly, then differing nodes.

    The latter are the differences from a fresh export between the last good values and the first bad one. A file does
    not state the provider that ``auto`` chose for. Where that may matter for a file without a record of its export, the
    export with fewer differences counts.
    """
    good = [value.probe for value in inspection.good]
    options = suspect.options
    unclear = suspect.recorded is None and options.lowering == "auto"
    chosen = unclear and any(
        cell.operator() is not None for layer in suspect.model.layers() for cell in layer.directed_cells
    )
    differences = []
    targets: tuple[Literal["cpu", "cuda"], ...] = ("cpu", "cuda") if chosen else (options.target,)
    for number, target in enumerate(targets):
        fresh = scratch / f"fresh_{number}{suspect.exporter.suffix}"
        suspect.exporter.export(suspect.model, fresh, {}, replace(options, target=target))
        differences.append(dissection.differences(fresh, bad, good))
    return [*dissection.wrong_products(bad, good), *min(differences, key=len)]


def _findings(model: Model, inspection: Inspection, causes: Sequence[Difference], *, optimised: bool) -> dict[str, Any]:
    """Return the part of the report on the fault: its node, its value and its step."""
    bad = inspection.bad
    if bad is None:
        return {
            "node": None,
            "what": "every value is right where it is an output of the graph, so the fault is in how ONNX Runtime "
            "optimises the graph",
            "case": inspection.case.to_dict(),
        }
    first = causes[0] if causes else None
    no_difference = "nothing differs from a fresh export, so the fault is the exporter's or ONNX Runtime's"
    lengths = inspection.case.lengths
    return {
        "node": first.node if first else bad.probe.node,
        "operator": first.operator if first else bad.probe.operator,
        "scan": first.scan if first else None,
        "what": first.what if first else no_difference + (", once it has optimised the graph" if optimised else ""),
        "value": describe_value(model, bad.probe.value),
        "reason": bad.comparison.reason,
        **_first_error(model, bad),
        "case": inspection.case.to_dict() | ({} if lengths is None else {"lengths": lengths.tolist()}),
        "last_good": describe_value(model, inspection.good[-1].probe.value) if inspection.good else "the input",
        "others": [{"node": cause.node, "what": cause.what} for cause in causes[1:]],
    }


def _first_error(model: Model, bad: JudgedValue) -> Mapping[str, Any]:
    """Return the part of the report on the first step that exceeds its budget, the step in the order of time."""
    error, value = bad.first_error, bad.probe.value
    if error is None:
        return {"step": None, "row": None, "error": bad.comparison.max_error, "budget": None, "over_budget": None}
    step = None
    if has_steps(model, value):
        step = bad.expected.steps - 1 - error.step if reads_backward(model, value) else error.step
    over = error.error / error.budget if error.budget else float("inf")
    return {"step": step, "row": error.row, "error": error.error, "budget": error.budget, "over_budget": over}
