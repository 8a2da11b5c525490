"""Choice of the run to build: a new one, or one to resume, whose spec must be the same."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from zoo.errors import RunError, UsageError, ZooError
from zoo.plugins.registry import Registry
from zoo.run.lock import LOCK
from zoo.run.run import Run, next_run, runs_named
from zoo.spec.spec import Spec


def choose_run(spec: Spec, out: Path | None, resume: bool, registry: Registry, folder: Path = Path("runs")) -> Run:
    """Return the run to build: in a new folder, or with ``resume`` the newest run of the spec's name.

    Args:
        spec: gives the name, and with ``resume`` must equal the run's own spec.
        out: the run's folder; None for a folder of the spec's name in ``folder``.
        resume: whether to continue an existing run.
        registry: the usable plugins.
        folder: the folder of all runs.

    Raises:
        UsageError: where ``out`` exists and is not empty, or there is no run to resume.
        RunError: where the spec differs from the run's own.
    """
    if resume:
        runs = runs_named(spec.name, folder) if out is None else [Run(out)]
        if not runs or not runs[-1].spec_file.is_file():
            raise UsageError(f"resume: there is no run {out or folder / spec.name}; leave resume out to start one")
        _require_same_spec(spec, runs[-1], registry)
        return runs[-1]
    if out is None:
        return next_run(spec.name, folder)
    if out.exists() and (not out.is_dir() or any(file.name != LOCK for file in out.iterdir())):
        raise UsageError(
            f"{out}: exists already; continue it with --resume (in Python resume=True), or choose another folder"
        )
    return Run(out)


def _require_same_spec(spec: Spec, run: Run, registry: Registry) -> None:
    """Raise a `RunError` that names the first line in which the run's spec differs from ``spec``.

    Fields that a run of an earlier version lacks are compared by what they meant then.
    """
    try:
        before = run.spec(registry).to_yaml().splitlines()
    except ZooError:  # damaged, or of a plugin that has changed
        before = run.spec_file.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = zip_longest(before, spec.to_yaml().splitlines(), fillvalue="nothing")
    for number, (old, new) in enumerate(lines, 1):
        if old != new:
            raise RunError(
                f"{run.spec_file}:{number}: has {old.strip()!r} where the given spec has {new.strip()!r}, so training "
                "cannot be resumed; give the same spec and overrides, choose another folder with out, or leave resume "
                "out"
            )
