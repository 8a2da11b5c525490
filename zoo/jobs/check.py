"""Proof of a file that a run has already been exported to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.files import write_json
from zoo.jobs.exported import ExportedFile
from zoo.jobs.precision import Trained
from zoo.jobs.structure import BY_NUMBERS, Structure
from zoo.plugins.registry import Registry
from zoo.progress import Progress
from zoo.proof.cases import USUAL, Extent
from zoo.proof.prove import ProviderRequest, prove
from zoo.run.candidate import Candidate
from zoo.run.lock import locked
from zoo.run.model_card import write_card
from zoo.run.run import Run
from zoo.runtime.onnx_contents import contents_fault


def check(
    file: ExportedFile,
    registry: Registry,
    wanted: ProviderRequest,
    progress: Progress,
    extent: Extent = USUAL,
) -> dict[str, Any]:
    """Prove an exported file again, write the report beside it and return the report.

    Beside the numbers, the file is compared with a fresh export of the run, node by node; see `zoo.jobs.structure`.

    Args:
        file: an existing file.
        registry: gives the run's architecture, task and data source.
        wanted: the providers to prove on, and those that are required.
        progress: called with a few words at the start of each step.
        extent: the shapes to draw beside the listed ones.

    Returns:
        The report, ready for JSON; see `zoo.proof.prove.prove`.

    Raises:
        ProviderUnavailable: where a required provider cannot run here.
        RunError: where another process works on the run, the file has no record of its export or was changed during
            its proof, or the report cannot be written.
    """
    with locked(file.run.path, "zoo check"):
        trained = Trained.checked(file.run, registry)
        record = file.record()
        _, report = file.prove(file.path, trained, registry, wanted, progress, record.options, extent, record)
        write_json(file.report, report)
        if not file.rejected:  # the card does not list rejected files
            write_card(file.run)
    return report


def check_foreign(
    path: Path,
    run: Run,
    registry: Registry,
    wanted: ProviderRequest,
    progress: Progress,
    extent: Extent = USUAL,
) -> dict[str, Any]:
    """Judge any file by numbers alone against a run's model, and return the report; nothing is written.

    It needs no seal, no record and no structure like that of an export, but it must stand alone. It is judged as a
    float32 file for whole sequences of any shape.

    Args:
        path: the file.
        run: the run.
        registry: gives the run's architecture, task and data source.
        wanted: the providers to prove on, and those that are required.
        progress: called with a few words at the start of each step.
        extent: the shapes to draw beside the listed ones.

    Raises:
        ProviderUnavailable: where a required provider cannot run here.
        RunError: where the file cannot be read, or was changed during its proof.
    """
    trained = Trained.checked(run, registry)
    candidate = Candidate(path)
    fault = contents_fault(candidate.content)
    faults = [] if fault is None else [f"{path}: {fault}"]
    extent = extent._replace(batches=(*extent.batches, trained.spec.training.batch_size))
    report = prove(trained.model, path, run.sample(), wanted.providers, faults, progress, extent=extent)
    wanted.enforce(report)
    candidate.require_unchanged()
    return {**report, "structure": Structure(compared=False, notes=(BY_NUMBERS,)).to_dict()}
