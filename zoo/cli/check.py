"""``zoo check``: prove an exported file again."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import output, verdict
from zoo.cli.matrix import MatrixOptions, check_matrix
from zoo.errors import UsageError


@click.command("check")
@click.argument("target", required=False, type=click.Path(path_type=Path))
@verdict.provider_option
@verdict.require_option
@click.option("--matrix", is_flag=True, help="Prove TARGET's cell in a sample of its settings that has every pair.")
@click.option("--full", is_flag=True, help="With --matrix: in all of them.")
@click.option("--quick", is_flag=True, help="With --matrix: a smaller sample, up to 28 steps, of about a minute.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="A.B=C",
    help="With --matrix: an option of the cell, as zoo build takes it: architecture.forget_bias=2. Repeatable.",
)
@click.option(
    "--features",
    type=click.IntRange(min=1),
    help="With --matrix: numbers in a step of the input, 3 when left out; 8 for a cell whose input is as wide as its "
    "state, of which the matrix makes 8 units.",
)
@output.common_options
def command(
    target: Path | None,
    chosen: tuple[str, ...],
    required: tuple[str, ...],
    matrix: bool,
    full: bool,
    quick: bool,
    overrides: tuple[str, ...],
    features: int | None,
    as_json: bool,
) -> None:
    """Prove TARGET, a run or an exported file of it, a rejected one too, against the run's weights. The latest run when
    none is named.

    With --matrix TARGET is a run or the name of an architecture, such as your own cell before any training. Small
    models of it with fresh weights are exported and proven: every direction, 1 and 3 layers, with and without bias,
    given states, lengths of every kind, several weights and opsets, shapes up to 16 x 512. Of a run its cell's own
    options are kept, and the report goes to RUN/onnx/matrix.json. It leaves with 4 unless something passed and nothing
    failed.
    """
    from zoo.cli.target import named_file, run_or_latest
    from zoo.jobs.export import check, exported_file, exported_files

    given = {"--full": full, "--quick": quick, "--set": overrides, "--features": features}
    for flag, value in given.items():
        if value and not matrix:
            raise UsageError(f"{flag}: is for the matrix; add --matrix, or leave {flag} out")
    if full and quick:
        raise UsageError("--quick: is a part of the sample, and --full is everything; leave one of them out")
    registry = output.usable_plugins()
    if matrix:
        options = MatrixOptions(full, quick, features, overrides)
        check_matrix(target, registry, verdict.wanted(chosen, required), options, as_json=as_json)
        return
    if target is None or target.is_dir():
        exported = exported_files(run_or_latest(target), registry)
    else:
        run, _, path = named_file(target, registry)
        exported = [exported_file(path, run, registry)]
    results = []
    for file in exported:
        with output.spinner(f"checking {file.path}") as progress:
            report = check(file, registry, verdict.wanted(chosen, required), progress)
        results.append((file.path, report))
    verdict.tell(results, as_json=as_json)
