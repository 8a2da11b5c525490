"""From what a user names to an exported file of a run."""

from __future__ import annotations

import json
from pathlib import Path

from zoo.errors import RunError
from zoo.export import possible_files
from zoo.exporter import Exporter
from zoo.plugins import Registry
from zoo.run import Run

REJECTED = "rejected"


def suspect(target: Path | None, registry: Registry) -> tuple[Run, Exporter, Path]:
    """The file to look into: that named, or the most suspicious one of a run, of any precision.

    First comes what failed its last proof or has no report of one, then what is *ill-conditioned* or *passed*; of these
    first what was rejected; of these the float32 file before the others.

    Raises:
        RunError: where there is none, or it belongs to no run.
    """
    if target is not None and not target.is_dir():
        return named_file(target, registry)
    run = Run.find(target)
    files = possible_files(run, registry)
    places = [
        (file, rejected, file.path.parent / (REJECTED if rejected else "."))
        for rejected in (True, False)
        for file in files
    ]
    candidates = [
        (_cleared(folder / file.report.name), not rejected, file.exporter, folder / file.path.name)
        for file, rejected, folder in places
        if (folder / file.path.name).is_file()
    ]
    if candidates:
        *_, exporter, path = min(candidates, key=lambda candidate: candidate[:2])
        return run, exporter, path
    flags = " or ".join(f"--{name}" for name in registry.exporters)
    raise RunError(f"{run.path}: has not been exported yet; do it with 'zoo export {flags} {run.path}'")


def _cleared(report: Path) -> bool:
    """Whether the report of a proof is there and calls nothing wrong."""
    try:
        content = json.loads(report.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("verdict") in ("passed", "ill-conditioned")


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
