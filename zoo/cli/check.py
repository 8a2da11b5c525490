"""``zoo check``: prove an exported file again."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import output, verdict
from zoo.errors import RunError


@click.command("check")
@click.argument("target", required=False, type=click.Path(path_type=Path))
@verdict.provider_option
@verdict.require_option
@output.common_options
def command(target: Path | None, chosen: tuple[str, ...], required: tuple[str, ...], as_json: bool) -> None:
    """Prove TARGET, a run or an exported file of it, against the run's weights. The latest run when none is named."""
    from zoo.export import check, exported_files
    from zoo.run import Run

    registry = output.usable_plugins()
    if target is not None and target.is_file():
        run = Run(target.resolve().parent.parent)
        if not run.spec_file.is_file():
            raise RunError(f"{target}: is not in a run's folder, and the proof needs the run's weights; name the run")
    else:
        run = Run.find(target)
    exported = exported_files(run, registry)
    if target is not None and target.is_file():
        exported = [file for file in exported if file.path.samefile(target)]
        if not exported:
            raise RunError(f"{target}: is not the file that the run {run.path} was exported to; name the run")
    results = []
    for file in exported:
        with output.spinner(f"checking {file.path}") as progress:
            report = check(file, registry, verdict.wanted(chosen, required), progress)
        results.append((file.path, report))
    verdict.tell(results, as_json=as_json)
