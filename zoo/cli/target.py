"""From what a user names to an exported file of a run."""

from __future__ import annotations

from pathlib import Path

from zoo.cli import output
from zoo.errors import RunError
from zoo.exporter import Exporter
from zoo.plugins import Registry
from zoo.run import Run

REJECTED = "rejected"


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
    """The file to look into: that named, or the run's rejected one, or its proven one.

    Raises:
        RunError: where there is none, or it belongs to no run.
    """
    if target is not None and not target.is_dir():
        return named_file(target, registry)
    exporters = [exporter() for exporter in registry.exporters.values()]
    run = run_or_latest(target)
    for folder in (REJECTED, "."):
        for exporter in exporters:
            for stem in ("model", "model.stream"):
                path = run.export_folder(exporter.name) / folder / f"{stem}{exporter.suffix}"
                if path.is_file():
                    return run, exporter, path
    flags = " or ".join(f"--{exporter.name}" for exporter in exporters)
    raise RunError(f"{run.path}: has not been exported yet; do it with 'zoo export {flags} {run.path}'")


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
