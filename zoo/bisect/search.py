"""The first wrong node of an exported file that fails its proof, and inside a loop over time the first wrong step.

The values along the model, the oracle's and the file's, are compared in the order in which the model makes them. The
fault lies between the last good value and the first bad one. What stands there is compared with a fresh export of the
same model: a wrong weight, attribute or connection shows there by itself.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from zoo.bisect.folder import write_folder
from zoo.bisect.inside import Inside, Seen, View
from zoo.data.dataset import Split
from zoo.errors import ParityError
from zoo.exporting.dissection import Difference, Dissection, Probe
from zoo.exporting.exporter import Exporter, ExportOptions, Lowering, Precision
from zoo.nn.model import Model
from zoo.parity import KEPT, judge, with_weights
from zoo.proof.cases import Case
from zoo.proof.expectations import Expectations
from zoo.proof.oracle import Oracle
from zoo.proof.outcomes import overall
from zoo.proof.prove import LOWERING, FileProperties, cases_for
from zoo.proof.trace import has_steps, in_words, reads_backward
from zoo.runtime.golden import PRECISION
from zoo.runtime.session import OnnxSession
from zoo.runtime.streaming import CHUNKS, CHUNKS_KEY
from zoo.versions import versions

SCHEMA_VERSION = 1
SMALL = 100
"""Steps of a batch up to which a case tells how large values usually are."""


@dataclass(frozen=True)
class Suspect:
    """A file to look into."""

    path: Path
    model: Model
    exporter: Exporter
    session: OnnxSession
    expectations: Expectations
    """Of the model, on the cases of the proof."""

    @property
    def precision(self) -> str:
        """Whose roundings the file may make, by what it says that it keeps its weights in."""
        told = self.session.metadata.get(PRECISION, "float32")
        return with_weights("float32", told if told in KEPT else "float32")

    @property
    def options(self) -> ExportOptions:
        """How it says that it was made."""
        metadata = self.session.metadata
        opset, lowering = metadata.get("opset"), metadata.get(LOWERING, "auto")
        return ExportOptions(
            None if opset is None else int(opset),
            cast("Lowering", lowering),  # whoever has altered it is told by the exporter
            steps=self.session.input.steps if lowering == "unrolled" else None,
            states=bool(self.session.states),
            streaming=metadata.get(CHUNKS_KEY) == CHUNKS,
            precision=cast("Precision", metadata.get(PRECISION, "float32")),
        )


def open_suspect(
    path: Path, model: Model, exporter: Exporter, sample: Split, progress: Callable[[str], None]
) -> Suspect:
    """A file, with what its model should give on the cases of its proof.

    Raises:
        RunError: where the file does not load.
    """
    session = OnnxSession(path)
    # A file for chunks takes no lengths, and gets each sequence in one chunk.
    cases = cases_for(model, sample, FileProperties.read(path), with_lengths=session.takes_lengths)
    return Suspect(path, model, exporter, session, Expectations(model, cases, progress))


def bisect(suspect: Suspect, folder: Path, progress: Callable[[str], None]) -> dict[str, Any]:
    """Find the first wrong node and write the smallest failing piece into ``folder``.

    Returns:
        The report, ready for JSON; its ``verdict`` is that of the proof on the CPU. Where it is ``failed`` the folder
        holds the same report and the piece; see `zoo.bisect.folder`.

    Raises:
        ParityError: where the file has other outputs than the model, so that nothing can be compared.
        RunError: where ONNX Runtime fails on it.
    """
    began = time.monotonic()
    told = {"schema_version": SCHEMA_VERSION, "file": suspect.path.name}
    verdict, failing = _failing(suspect)
    if not failing:
        return {**told, "verdict": verdict, "seconds": time.monotonic() - began}
    case = min(failing, key=lambda one: one.x.size)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        dissection = suspect.exporter.dissect(suspect.path)
        progress("looking inside")
        copy = scratch / suspect.path.name
        small = [one for one in suspect.expectations.cases if one.batch * one.time <= SMALL]
        inside = Inside(
            Oracle(suspect.model), suspect.session, copy, dissection.probes(copy), suspect.precision, small or [case]
        )
        view, optimised = _first_view(inside, case)
        view = view if optimised else _shrunk(inside, view, suspect.session.input.steps is None, progress)
        bad = view.bad
        progress("comparing with a fresh export")
        found = _causes(suspect, dissection, bad.probe, view, scratch) if bad else []
        report = {
            **told,
            "verdict": verdict,
            **_told(suspect.model, view, found, optimised=optimised),
            "versions": versions(),
        }
        report["seconds"] = time.monotonic() - began
        write_folder(folder, report, dissection, suspect.model, view)
    return report


def _failing(suspect: Suspect) -> tuple[str, list[Case]]:
    """The verdict of the proof, and the cases that fail it."""
    wanted = suspect.expectations.at(suspect.precision)
    statuses, failing = [], []
    for case, expected in zip(suspect.expectations.cases, wanted, strict=True):
        found = suspect.session.run(case.x, case.lengths, case.states)
        if set(found) != set(expected):
            raise ParityError(
                f"{suspect.path}: its outputs are {', '.join(found)}, the model's are {', '.join(expected)}; without "
                "the model's outputs nothing can be compared, so export the run again"
            )
        status = overall([one.status for one in judge(expected, found).values()])
        statuses.append(status)
        failing += [case] if status == "failed" else []
    return overall(statuses), failing


def _first_view(inside: Inside, case: Case) -> tuple[View, bool]:
    """The values of a failing case, and whether they had to be those of the graph as ONNX Runtime changes it."""
    view = inside.look(case)
    if view.bad is not None:
        return view, False
    return inside.look(case, optimised=True), True


def _shrunk(inside: Inside, view: View, free: bool, progress: Callable[[str], None]) -> View:
    """The smallest input on which the same value is the first bad one: one sequence, as few steps as will do."""
    for case in _smaller(view, free):
        progress(f"trying {case}")
        seen = inside.look(case)
        if seen.bad is not None and view.bad is not None and seen.bad.probe == view.bad.probe:
            return seen
    return view


def _smaller(view: View, free: bool) -> Iterator[Case]:
    """One sequence with fewer steps, the fewest first; then that sequence; then all with fewer steps."""
    case, moment = view.case, view.bad.moment if view.bad else None
    lengths = [2**power * part // 2 for power in range(1, 12) for part in (2, 3)] if free else []
    fewer = [steps for steps in dict.fromkeys([1, *lengths]) if steps < case.time] if free else []
    row = moment.row if moment else 0
    one = _cut(case, slice(row, row + 1), case.time)
    for whole in [one, case] if case.batch > 1 else [case]:
        for steps in fewer:
            yield _cut(whole, slice(None), steps)
            if whole.lengths is not None and steps > 1:  # with a step of padding, which a fault may need
                yield _padded(_cut(whole, slice(None), steps))
        if whole is not case:
            yield whole


def _cut(case: Case, rows: slice, steps: int) -> Case:
    """Some sequences of a case, and their first steps."""
    x = case.x[rows, :steps]
    lengths = None if case.lengths is None else case.lengths[rows].clip(max=steps)
    states = None if case.states is None else {name: array[rows] for name, array in case.states.items()}
    return replace(case, batch=len(x), time=x.shape[1], x=x, lengths=lengths, states=states)


def _padded(case: Case) -> Case:
    """A case whose sequences all leave at least the last step to the padding."""
    assert case.lengths is not None
    x = case.x.copy()
    if x.dtype.kind == "f":
        x[:, -1] = np.nan
    return replace(case, x=x, lengths=case.lengths.clip(max=case.time - 1))


def _causes(suspect: Suspect, dissection: Dissection, bad: Probe, view: View, scratch: Path) -> Sequence[Difference]:
    """What explains the first bad value, the likeliest first: products that this CPU gets wrong; then differences."""
    wrong = dissection.wrong_products(bad, [seen.probe for seen in view.good])
    return [*wrong, *_differences(suspect, dissection, bad, view, scratch)]


def _differences(
    suspect: Suspect, dissection: Dissection, bad: Probe, view: View, scratch: Path
) -> Sequence[Difference]:
    """What differs from a fresh export between the last good values and the first bad one.

    A file does not say which provider ``auto`` has chosen for, so where that may matter the nearer one counts.
    """
    options = suspect.options
    chosen = options.lowering == "auto" and any(
        cell.operator() is not None for layer in suspect.model.layers() for cell in layer.directed_cells
    )
    good = [seen.probe for seen in view.good]
    found = []
    targets: tuple[Literal["cpu", "cuda"], ...] = ("cpu", "cuda") if chosen else ("cpu",)
    for number, target in enumerate(targets):
        fresh = scratch / f"fresh_{number}{suspect.exporter.suffix}"
        suspect.exporter.export(suspect.model, fresh, {}, replace(options, target=target))
        found.append(dissection.differences(fresh, bad, good))
    return min(found, key=len)


def _told(model: Model, view: View, found: Sequence[Difference], *, optimised: bool) -> dict[str, Any]:
    """The report of what was found."""
    bad = view.bad
    if bad is None:
        return {
            "node": None,
            "what": "every value is right once it can be seen, so the fault is in how ONNX Runtime optimises the graph",
            "case": view.case.to_dict(),
        }
    first = found[0] if found else None
    unlike = "nothing differs from a fresh export, so the fault is the exporter's or ONNX Runtime's"
    lengths = view.case.lengths
    return {
        "node": first.node if first else bad.probe.node,
        "operator": first.operator if first else bad.probe.operator,
        "scan": first.scan if first else None,
        "what": first.what if first else unlike + (", once it has optimised the graph" if optimised else ""),
        "value": in_words(model, bad.probe.value),
        "reason": bad.comparison.reason,
        **_when(model, bad),
        "case": view.case.to_dict() | ({} if lengths is None else {"lengths": lengths.tolist()}),
        "last_good": in_words(model, view.good[-1].probe.value) if view.good else "the input",
        "others": [{"node": one.node, "what": one.what} for one in found[1:]],
    }


def _when(model: Model, bad: Seen) -> Mapping[str, Any]:
    """Where the value first leaves its budget."""
    moment, value = bad.moment, bad.probe.value
    if moment is None:
        return {"step": None, "row": None, "error": bad.comparison.max_error, "budget": None, "over_budget": None}
    step = None
    if has_steps(model, value):
        step = bad.expected.steps - 1 - moment.place if reads_backward(model, value) else moment.place
    over = moment.error / moment.budget if moment.budget else float("inf")
    return {
        "step": step,
        "row": moment.row,
        "error": moment.error,
        "budget": moment.budget,
        "over_budget": over,
    }
