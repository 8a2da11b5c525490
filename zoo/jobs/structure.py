"""Structure of an exported file: everything in which it differs from a fresh export of its run with the same options.

The numbers of a proof cover the shapes that were tried. An exporter is deterministic, so a file that equals a fresh
export, node by node and bit by bit, behaves like it at every other shape as well. Whatever differs is a fault. One
exception: another version of torch may trace other nodes from a cell's code. Where the versions in the record of the
export differ from those installed here, and nothing but traced steps differs, numbers at more shapes decide.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo.data.dataset import Split
from zoo.errors import ExportError
from zoo.exporting.dissection import Difference
from zoo.exporting.exporter import Exporter
from zoo.jobs.file_metadata import completed, file_metadata, metadata_differences, parity_entry
from zoo.jobs.precision import Trained
from zoo.progress import Progress
from zoo.run.candidate import Candidate
from zoo.run.export_record import ExportRecord
from zoo.runtime.onnx_contents import contents_fault
from zoo.runtime.onnx_metadata import metadata_entries
from zoo.versions import versions

BY_NUMBERS = "judged by numbers alone: shapes between those tried are not covered"
"""Note of a report without a comparison of structures."""
TRACERS = ("torch", "onnx-ir", "onnxscript", "recurrent-zoo")
"""Packages that determine the nodes of a traced step."""
LINES = 10
"""Largest number of differences among the reasons of a report; the others are in its entry ``structure``."""


@dataclass(frozen=True)
class Structure:
    """Result of a comparison with a fresh export."""

    compared: bool
    differences: Sequence[Difference] = ()
    notes: Sequence[str] = ()
    undecided: bool = False
    """Whether all differences may be due to other versions of torch, so that numbers at more shapes must decide."""
    altered: str = ""
    """What is wrong with the hash of the file; empty if it is the recorded one."""
    obstacle: str = ""
    """Why a file that should have been compared could not be, so that it fails."""

    def faults(self, path: Path, others: Sequence[str]) -> list[str]:
        """Return the faults of the file, one line each.

        Args:
            path: the file.
            others: its faults that were found before.
        """
        lines = [] if self.undecided else [_line(each) for each in self.differences]
        if self.obstacle and not others:  # else the reason is among the others
            lines.append(self.obstacle)
        more = [f"and {len(lines) - LINES} more differences"] if len(lines) > LINES else []
        altered = [f"{path}: {self.altered}"] if self.altered else []
        return [*altered, *lines[:LINES], *more]

    def to_dict(self) -> dict[str, Any]:
        """Return the entry ``structure`` of a report."""
        return {
            "compared": self.compared,
            "differences": [asdict(each) for each in self.differences],
            "notes": [*self.notes, *([self.obstacle] if self.obstacle else [])],
        }


def compare_structure(
    candidate: Candidate,
    exporter: Exporter,
    trained: Trained,
    sample: Split,
    record: ExportRecord,
    progress: Progress,
) -> Structure:
    """Compare a file with a fresh export of its run.

    Args:
        candidate: the file.
        exporter: its exporter.
        trained: the run.
        sample: data of the run, in the user's units.
        record: the record of the file's export.
        progress: called with a few words at the start.

    Raises:
        ExportError: where the model cannot be exported here with the recorded options.
        UsageError: where the exporter lacks something that the recorded options request.
    """
    progress("comparing with a fresh export")
    altered = _altered(candidate.content, record)
    if fault := contents_fault(candidate.content):
        return Structure(compared=False, altered=altered, obstacle=f"not compared with a fresh export: {fault}")
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / candidate.path.name
        metadata = file_metadata(trained, sample, record.options, record.versions)
        exporter.export(trained.model, fresh, metadata, record.options)
        if record.parity is not None:
            exporter.annotate(fresh, parity_entry(record.parity))
        try:
            differences = exporter.differences(candidate.path, fresh)
        except ExportError as error:
            return Structure(compared=False, altered=altered, obstacle=f"not compared with a fresh export: {error}")
        actual, expected = (metadata_entries(content) for content in (candidate.content, fresh.read_bytes()))
        in_metadata = list(metadata_differences(completed(actual, trained.spec), dict(expected)))
    if differences is None:
        reason = f"the exporter {exporter.name!r} cannot compare the structure of a file with that of a fresh export"
        return Structure(compared=False, differences=in_metadata, notes=[f"{reason}; {BY_NUMBERS}"], altered=altered)
    return _weighed([*differences, *in_metadata], record.versions, altered)


def _weighed(differences: Sequence[Difference], written_with: Mapping[str, str], altered: str) -> Structure:
    """Return the result for some differences, with what follows from other versions."""
    here = versions()
    others = [name for name in TRACERS if written_with.get(name) != here.get(name)]
    if not differences or not others:
        return Structure(compared=True, differences=differences, altered=altered)
    pairs = (f"{name} {written_with.get(name, 'none')}, here is {here.get(name, 'none')}" for name in others)
    note = f"the file was written with {'; '.join(pairs)}"
    if not all(each.traced for each in differences):
        return Structure(True, differences, [f"{note}; unless it was altered, export it again"], altered=altered)
    plural = "" if len(differences) == 1 else "s"
    nodes = f"{len(differences)} difference{plural} in traced steps, such as {_line(differences[0])}"
    return Structure(True, differences, [f"{nodes}; {note}; numbers at more shapes decide"], True, altered)


def _altered(content: bytes, record: ExportRecord) -> str:
    digest = hashlib.sha256(content).hexdigest()
    if digest == record.sha256:
        return ""
    return (
        f"its bytes are not those that were exported: their SHA-256 is {digest[:12]}…, the record has "
        f"{record.sha256[:12]}…; take the original file, or export the run again"
    )


def _line(difference: Difference) -> str:
    inside = f" inside {difference.scan}" if difference.scan else ""
    return f"{difference.node}{inside}: {difference.what}"
