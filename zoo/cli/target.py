"""From what a user names to an exported file of a run."""

from __future__ import annotations

import json
from pathlib import Path

from zoo.cli import output
from zoo.errors import RunError
from zoo.exporting.exporter import Exporter
from zoo.jobs.export import REJECTED, existing_files, exported_files
from zoo.plugins.registry import Registry
from zoo.run.run import Run


def run_or_latest(path: Path | None) -> Run:
    """The run at ``path``; where none is named the latest one, after a line on stderr that names it.

    Raises:
        RunError: where there is none.
    """
    run = Run.find(path)
    if path is None:
        output.note(f"{run.path}: the latest run")
    return run


def suspect(target: Path | None, registry: Registry) -> tuple[Run, Exporter, Path]:
    """The file to look into: that named, or the most suspicious one of a run, of any precision.

    The order: a file that failed its last proof or has no report of one, then one that is *ill-conditioned*,
    *inconclusive* or *passed*; among equals a rejected file first, then the float32 file.

    Raises:
        RunError: where there is none, or it belongs to no run.
    """
    if target is not None and not target.is_dir():
        return named_file(target, registry)
    run = run_or_latest(target)
    rejected = list(existing_files(run, registry, rejected=True))
    placed = list(existing_files(run, registry)) if rejected else exported_files(run, registry)
    file = min([*rejected, *placed], key=lambda file: (_cleared(file.report), not file.rejected))
    return run, file.exporter, file.path


def _cleared(report: Path) -> bool:
    """Whether the report of a proof is there and calls nothing wrong."""
    try:
        content = json.loads(report.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("verdict") in ("passed", "ill-conditioned", "inconclusive")


def named_file(path: Path, registry: Registry) -> tuple[Run, Exporter, Path]:
    """A file by its own path, one that was rejected too.

    Raises:
        RunError: where it is none of a run's.
    """
    if not path.is_file():
        raise RunError(f"{path}: is not a run, nor an exported file of one; 'zoo build SPEC' makes a run")
    folder = path.resolve().parent
    folder = folder.parent if folder.name == REJECTED else folder
    run, exporters = Run(folder.parent), [exporter() for exporter in registry.exporters.values()]
    exporter = next((one for one in exporters if one.name == folder.name), None)
    if exporter is None or not run.spec_file.is_file():
        raise RunError(f"{path}: is not in a run's folder, and the proof needs the run's weights; name the run")
    return run, exporter, path
