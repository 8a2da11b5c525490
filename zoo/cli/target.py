"""Runs and exported files that a user names on the command line."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from zoo.cli import output
from zoo.errors import RunError
from zoo.exporting.exporter import Exporter
from zoo.jobs.exported import existing_files, exported_files
from zoo.jobs.module import recorded_module
from zoo.jobs.put_in_place import REJECTED
from zoo.plugins.registry import Registry
from zoo.run.run import Run


def run_or_latest(path: Path | None) -> Run:
    """Return the run at ``path``, or without one the latest run, which is then named on stderr.

    Raises:
        RunError: if there is no run.
    """
    run = Run.find(path)
    if path is None:
        output.note(f"{run.path}: the latest run")
    return run


def suspect(target: Path | None, registry: Registry) -> tuple[Run, Exporter, Path]:
    """Return the file to bisect, with its run and exporter: the named file, or the most suspicious file of a run.

    A file that failed its last proof, or has no report, comes before one that is *ill-conditioned*, *inconclusive* or
    *passed*. Among equals a rejected file comes first, then the float32 file.

    Raises:
        RunError: if there is no file, or it belongs to no run.
    """
    if target is not None and not target.is_dir():
        return named_file(target, registry)
    run = run_or_latest(target)
    rejected = list(existing_files(run, registry, rejected=True))
    placed = list(existing_files(run, registry)) if rejected else exported_files(run, registry)
    file = min([*rejected, *placed], key=lambda file: (_cleared(file.report), not file.rejected))
    return run, file.exporter, file.path


def _cleared(report: Path) -> bool:
    """Return whether the report of a proof exists and its verdict is not *failed*."""
    try:
        content = json.loads(report.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("verdict") in ("passed", "ill-conditioned", "inconclusive")


def named_file(path: Path, registry: Registry) -> tuple[Run, Exporter, Path]:
    """Return the run, the exporter and the path of an exported file, which may be a rejected one.

    Raises:
        RunError: if the file does not belong to a run.
    """
    if not path.is_file():
        raise RunError(f"{path}: is not a run, nor an exported file of one; 'zoo build SPEC' makes a run")
    folder = path.resolve().parent
    folder = folder.parent if folder.name == REJECTED else folder
    run, exporters = Run(folder.parent), [exporter() for exporter in registry.exporters.values()]
    exporter = next((exporter for exporter in exporters if exporter.name == folder.name), None)
    if exporter is None or not run.spec_file.is_file():
        raise RunError(f"{path}: is not in a run's folder{_other_ways(path)}")
    return run, exporter, path


def _other_ways(path: Path) -> str:
    """Return how a file without a run can be proven."""
    name, file = recorded_module(path), shlex.quote(str(path))
    foreign = f"'zoo check RUN --foreign {file}'"
    if name is None:
        return f", and the proof needs the run's weights; name the run, or judge the file with {foreign}"
    against = f"'zoo check {file} --against package.module:make_model --example example.npz'"
    return f", but an export of the module {name}; prove it with {against}, or against a run's model with {foreign}"
