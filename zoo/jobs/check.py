"""Proof of a file that a run has already been exported to."""

from __future__ import annotations

from typing import Any

from zoo.files import write_json
from zoo.jobs.exported import ExportedFile
from zoo.jobs.precision import Trained
from zoo.plugins.registry import Registry
from zoo.progress import Progress
from zoo.proof.prove import ProviderRequest
from zoo.proof.trained import check_trained
from zoo.run.lock import locked
from zoo.run.model_card import write_card


def check(
    file: ExportedFile,
    registry: Registry,
    wanted: ProviderRequest,
    progress: Progress,
) -> dict[str, Any]:
    """Prove an exported file again, write the report beside it and return the report.

    Args:
        file: an existing file.
        registry: gives the run's architecture, task and data source.
        wanted: the providers to prove on, and those that are required.
        progress: called with a few words at the start of each step.

    Returns:
        The report, ready for JSON; see `zoo.proof.prove.prove`.

    Raises:
        ProviderUnavailable: where a required provider cannot run here.
        RunError: where another process works on the run, the file was changed during its proof, or the report cannot
            be written.
    """
    with locked(file.run.path, "zoo check"):
        trained = Trained(file.run, *file.run.load(registry))
        check_trained(file.run, trained.model)
        _, report = file.prove(file.path, trained, registry, wanted, progress)
        write_json(file.report, report)
        if not file.rejected:  # the card does not list rejected files
            write_card(file.run)
    return report
