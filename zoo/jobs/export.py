"""Export of a run, and the proof that the exported file computes what the run's model computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.exporting.exporter import SHORT, Exporter, ExportOptions
from zoo.files import remove_stale
from zoo.jobs.exported import ExportedFile
from zoo.jobs.file_metadata import file_metadata
from zoo.jobs.precision import Trained
from zoo.jobs.put_in_place import REJECTED, put_in_place
from zoo.plugins.registry import Registry
from zoo.progress import Progress
from zoo.proof.cases import USUAL, Extent
from zoo.proof.prove import ProviderRequest
from zoo.proof.streaming import refuse_unless_streamable
from zoo.run.candidate import private_folder, remove_private_folders, writing
from zoo.run.lock import locked
from zoo.run.model_card import write_card
from zoo.run.run import Run
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
        trained = Trained.checked(run, registry)
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
                rejected = replace(file, rejected=True).place
                results.append(put_in_place(file.place, rejected, candidate, report, exporter, own))
            if report["verdict"] == "passed":
                write_card(run)
            else:
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
            f"precision {SHORT[options.precision]}: a file for chunks is written in float32 only; leave streaming "
            "or precision out"
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
                "steps: only an unrolled graph takes a fixed number of steps, and the lowering is "
                f"{options.lowering!r}, which takes any number; take the lowering unrolled, or leave steps out"
            )
        return options
    if options.streaming:
        raise UsageError(
            "streaming: an unrolled graph takes one fixed number of steps, and chunks have any number; use another "
            "lowering, or leave streaming out"
        )
    if options.steps is not None and options.steps < 1:
        raise UsageError(f"steps: expected at least 1, got {options.steps}")
    return replace(options, steps=options.steps or longest)
