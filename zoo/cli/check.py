"""``zoo check``: prove an exported file again."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import output, verdict
from zoo.cli.matrix import check_matrix
from zoo.errors import RunError, UsageError


@click.command("check")
@click.argument("target", required=False, type=click.Path(path_type=Path))
@verdict.provider_option
@verdict.require_option
@click.option("--matrix", is_flag=True, help="Prove TARGET's cell in a sample of its settings that has every pair.")
@click.option("--full", is_flag=True, help="With --matrix: in all of them.")
@output.common_options
def command(
    target: Path | None, chosen: tuple[str, ...], required: tuple[str, ...], matrix: bool, full: bool, as_json: bool
) -> None:
    """Prove TARGET, a run or an exported file of it, against the run's weights. The latest run when none is named.

    With --matrix TARGET is a run or the name of an architecture, such as your own cell before any training. Small
    models of it with fresh weights are exported and proven: every direction, 1 and 3 layers, with and without bias,
    given states, lengths of every kind, several weights and opsets, shapes up to 16 x 512. Of a run its cell's own
    options are kept, and the report goes to RUN/onnx/matrix.json.
    """
    from zoo.cli.target import named_file, run_or_latest
    from zoo.export import check, exported_files

    if full and not matrix:
        raise UsageError("--full: is for the matrix; add --matrix, or leave --full out")
    registry = output.usable_plugins()
    if matrix:
        check_matrix(target, registry, verdict.wanted(chosen, required), full=full, as_json=as_json)
        return
    if target is None or target.is_dir():
        exported = exported_files(run_or_latest(target), registry)
    else:
        run, _, path = named_file(target, registry)
        exported = [file for file in exported_files(run, registry) if file.path.samefile(path)]
        if not exported:
            raise RunError(f"{target}: is not the file that the run {run.path} was exported to; name the run")
    results = []
    for file in exported:
        with output.spinner(f"checking {file.path}") as progress:
            report = check(file, registry, verdict.wanted(chosen, required), progress)
        results.append((file.path, report))
    verdict.tell(results, as_json=as_json)
