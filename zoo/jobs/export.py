"""Export of a run, and the proof that the exported file computes what the run's model computes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.errors import PluginError, UsageError
from zoo.exporting.exporter import SHORT, Exporter, ExportOptions
from zoo.files import json_safe, json_text, remove_stale, write_together
from zoo.jobs.exported import REJECTED, ExportedFile
from zoo.jobs.file_metadata import file_metadata, parity_entry
from zoo.jobs.precision import Trained
from zoo.plugins.registry import Registry
from zoo.progress import Progress
from zoo.proof.cases import USUAL, Extent
from zoo.proof.prove import ProviderRequest
from zoo.proof.streaming import refuse_unless_streamable
from zoo.proof.trained import check_trained
from zoo.run.candidate import Candidate, private_folder, remove_private_folders, writing
from zoo.run.export_record import EXPORT, ExportRecord
from zoo.run.lock import locked
from zoo.run.model_card import write_card
from zoo.run.run import Run
from zoo.runtime.onnx_metadata import metadata_entries
from zoo.versions import versions


def export(
    run: Run,
    registry: Registry,
    exporter: Exporter,
    wanted: ProviderRequest,
    options: ExportOptions,
    progress: Progress,
    extent: Extent = USUAL,
) -> list[tuple[Path, dict[str, Any]]]:
    """Export a run, prove each file, and put it in place of an older file only after that.

    With ``options.streaming`` a second file, for chunks, follows the file for whole sequences. With a lower precision
    the float32 file is exported first if the run has none. After a verdict other than ``passed`` no further file is
    exported.

    Args:
        run: a finished run.
        registry: gives the run's architecture, task and data source.
        exporter: writes the files.
        wanted: the providers to prove on, and those that are required.
        options: how to lower the model, in which precision, and whether to write a file for chunks.
        progress: called with a few words at the start of each step.
        extent: the shapes to draw beside the listed ones.

    Returns:
        The path of each file and the report of its proof, ready for JSON. A file whose verdict is not ``passed`` is
        kept in ``rejected/`` until the same kind of file is exported again with a verdict; an older file that passed
        is not replaced by it.

    Raises:
        ProviderUnavailable: where a required provider cannot run here.
        ExportError: where the model has a part that the exporter cannot express, or cannot be streamed.
        UsageError: where the options are not compatible.
        PluginError: where the exporter changes more than the metadata of a proven file, or a cell does not keep the
            contract of `zoo.Cell`.
        RunError: where another process works on the run, something cannot be written, or the file was changed during
            its proof.
    """
    refuse_streams_of_lower_precision(options)
    with _export_lock(run, exporter):
        trained = Trained(run, *run.load(registry))
        check_trained(run, trained.model)
        sample = run.sample()
        options = with_steps(options, sample.x.shape[1])
        if options.streaming:
            refuse_unless_streamable(trained.model)
        results = []
        for file in _files(run, exporter, options):
            own = replace(options, streaming=file.streaming, precision=file.precision)
            metadata = file_metadata(trained, sample, own, versions())
            progress(f"writing {file.path.name}")
            with private_folder(file.path.parent) as folder:
                path = folder / file.path.name
                with writing(file.path):
                    exporter.export(trained.model, path, metadata, own)
                candidate, report = file.prove(path, trained, registry, wanted, progress, own, extent)
                results.append(_put_in_place(file, candidate, report, with_opset(own, candidate.content)))
            if report["verdict"] != "passed":
                break
    return results


@contextmanager
def _export_lock(run: Run, exporter: Exporter) -> Iterator[None]:
    """Hold the run's lock, and remove files that exports left behind when they were killed."""
    with locked(run.path, "zoo export") as held:
        folder = run.export_folder(exporter.name)
        for place in (run.path, folder, folder / REJECTED):
            remove_stale(place)
        if held:
            remove_private_folders(folder)
        yield


def _files(run: Run, exporter: Exporter, options: ExportOptions) -> list[ExportedFile]:
    """Return the files to write, in order."""
    full = ExportedFile(run, exporter)
    if options.precision == "float32":
        return [full, ExportedFile(run, exporter, streaming=True)] if options.streaming else [full]
    return [*([] if full.path.is_file() else [full]), replace(full, precision=options.precision)]


def refuse_streams_of_lower_precision(options: ExportOptions) -> None:
    """Raise a `UsageError` for a file for chunks in lower precision, since there is no proof for such a file.

    Args:
        options: the options of an export.

    Raises:
        UsageError: where ``options`` ask for both.
    """
    if options.streaming and options.precision != "float32":
        raise UsageError(
            f"--precision {SHORT[options.precision]}: a file for chunks is written in float32 only; leave --streaming "
            "or --precision out"
        )


def with_steps(options: ExportOptions, longest: int) -> ExportOptions:
    """Return the options with a number of steps for an unrolled graph: the given number, else ``longest``.

    Args:
        options: the options of an export.
        longest: steps of the longest sequence of the run's data.

    Raises:
        UsageError: where the options are not compatible.
    """
    if options.lowering != "unrolled":
        if options.steps is not None:
            raise UsageError(
                f"--steps: only an unrolled graph takes a fixed number of steps, and the lowering is "
                f"{options.lowering!r}, which takes any number; add --lowering unrolled, or leave --steps out"
            )
        return options
    if options.streaming:
        raise UsageError(
            "--streaming: an unrolled graph takes one fixed number of steps, and chunks have any number; use another "
            "--lowering, or leave --streaming out"
        )
    if options.steps is not None and options.steps < 1:
        raise UsageError(f"--steps: expected at least 1, got {options.steps}")
    return replace(options, steps=options.steps or longest)


def with_opset(options: ExportOptions, content: bytes) -> ExportOptions:
    """Return the options with the opset that the exporter chose, where none was given and the file states it.

    Args:
        options: those of the export.
        content: the bytes of the file, as the exporter wrote it just now.
    """
    opset = "" if options.opset is not None else dict(metadata_entries(content)).get("opset", "")
    return replace(options, opset=int(opset)) if opset.isdecimal() else options


def _put_in_place(
    file: ExportedFile, candidate: Candidate, report: dict[str, Any], options: ExportOptions
) -> tuple[Path, dict[str, Any]]:
    """Write the proven file with its verdict, and its report, to the place that the verdict allows; return both."""
    summary = proof_summary(report)
    passed, rejected = report["verdict"] == "passed", replace(file, rejected=True)
    target = file if passed else rejected
    with writing(target.path):
        content = candidate.annotated(file.exporter, parity_entry(summary))
    if content is None and passed:
        raise PluginError(
            f"{file.exporter.name}: annotate() changed more of {file.path.name} than its metadata, so it is not the "
            "file that was proven; correct the exporter"
        )
    # A rejected file may be invalid, so that it cannot be annotated; then it is kept unchanged.
    placed = content or candidate.content
    digest = hashlib.sha256(placed).hexdigest()
    record = ExportRecord(options, versions(), digest, None if content is None else json_safe(summary))
    report = {**candidate.with_path(report, target.path), EXPORT: record.to_dict()}
    write_together({target.path: placed, target.report: json_text(report)})
    if passed:
        _remove(rejected)
        write_card(file.run)
    return target.path, report


def _remove(rejected: ExportedFile) -> None:
    """Remove a rejected file and its report, where they exist, and their folder once it is empty."""
    with suppress(OSError):
        for path in (rejected.path, rejected.report):
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
