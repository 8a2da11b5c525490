"""The last step of an export: the proven bytes and their report are put where their verdict allows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from zoo.errors import PluginError
from zoo.exporting.exporter import Exporter, ExportOptions
from zoo.files import json_safe, json_text, write_together
from zoo.jobs.file_metadata import parity_entry
from zoo.run.candidate import Candidate, writing
from zoo.run.export_record import EXPORT, ExportRecord
from zoo.runtime.onnx_metadata import metadata_entries
from zoo.versions import versions

REJECTED = "rejected"
"""Name of the folder, beside an exported file, for files whose proof did not pass."""


class Place(NamedTuple):
    """Where an exported file and its report belong."""

    path: Path
    report: Path


def put_in_place(
    place: Place,
    rejected: Place,
    candidate: Candidate,
    report: Mapping[str, Any],
    exporter: Exporter,
    options: ExportOptions,
) -> tuple[Path, dict[str, Any]]:
    """Write a proven file, with its verdict in it, and its report; return the path and the report.

    Args:
        place: for a file that passed; then an older rejected one is removed.
        rejected: for any other.
        candidate: the file.
        report: of its proof.
        exporter: adds the verdict to the file.
        options: those of its export.

    Raises:
        PluginError: where the exporter changes more than the metadata of a file that passed.
        RunError: where it cannot be written.
    """
    summary = proof_summary(report)
    passed = report["verdict"] == "passed"
    target = place if passed else rejected
    with writing(target.path):
        content = candidate.annotated(exporter, parity_entry(summary))
    if content is None and passed:
        raise PluginError(
            f"{exporter.name}: annotate() changed more of {place.path.name} than its metadata, so it is not the file "
            "that was proven; correct the exporter"
        )
    # A rejected file may be invalid, so that it cannot be annotated; then it is kept unchanged.
    placed = content or candidate.content
    record = ExportRecord(
        options=_with_opset(options, candidate.content),
        versions=versions(),
        sha256=hashlib.sha256(placed).hexdigest(),
        parity=None if content is None else json_safe(summary),
    )
    complete = {**candidate.with_path(dict(report), target.path), EXPORT: record.to_dict()}
    write_together({target.path: placed, target.report: json_text(complete)})
    if passed:
        _remove(rejected)
    return target.path, complete


def _with_opset(options: ExportOptions, content: bytes) -> ExportOptions:
    """Return the options with the opset that the exporter chose, where none was given and the file states it."""
    opset = "" if options.opset is not None else dict(metadata_entries(content)).get("opset", "")
    return replace(options, opset=int(opset)) if opset.isdecimal() else options


def _remove(rejected: Place) -> None:
    """Remove a rejected file and its report, where they exist, and their folder once it is empty."""
    with suppress(OSError):
        for path in rejected:
            path.unlink(missing_ok=True)
        rejected.path.parent.rmdir()  # fails while it contains other files


def proof_summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary of a report that the metadata of the file contains."""
    limits = [result["judged_steps"] for result in report["providers"] if "judged_steps" in result]
    shares = [output["over_budget"] for result in report["providers"] for output in result["outputs"]]
    return {
        "verdict": report["verdict"],
        "providers": {result["name"]: result["status"] for result in report["providers"]},
        **({"judged_steps": min(limits)} if limits else {}),
        "over_budget": max(shares, default=None),  # None where no output was judged
    }
