"""``zoo check``: prove an exported file again, or a cell in all its settings."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import modules, output, verdict
from zoo.cli.matrix import MatrixOptions, check_matrix
from zoo.errors import UsageError


@click.command("check")
@click.argument("target", required=False, type=click.Path(path_type=Path))
@verdict.provider_option
@verdict.require_option
@verdict.seed_option
@verdict.thorough_option
@click.option("--matrix", is_flag=True, help="Prove the cell in a sample of settings that covers every pair of them.")
@click.option("--full", is_flag=True, help="With --matrix: all combinations of settings.")
@click.option("--quick", is_flag=True, help="With --matrix: a small sample, up to 28 steps; about a minute.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="A.B=C",
    help="With --matrix: set an option of the cell, such as architecture.forget_bias=2. Repeatable.",
)
@click.option(
    "--features",
    type=click.IntRange(min=1),
    help="With --matrix: features of a step, default 3; use 8 for a cell whose input and state have one size.",
)
@click.option(
    "--foreign",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Judge any FILE by numbers alone against the model of the run TARGET; shapes between those tried stay open.",
)
@click.option(
    "--against",
    metavar="MODULE",
    help="Prove the file TARGET, of any exporter, against a module of your own code, such as models:make_model.",
)
@modules.source_options
@output.common_options
def command(
    target: Path | None,
    chosen: tuple[str, ...],
    required: tuple[str, ...],
    seed: int | None,
    thorough: bool,
    matrix: bool,
    full: bool,
    quick: bool,
    overrides: tuple[str, ...],
    features: int | None,
    foreign: Path | None,
    against: str | None,
    examples: tuple[Path, ...],
    weights: Path | None,
    as_json: bool,
) -> None:
    """Prove that an exported file computes what the model of its run computes.

    TARGET is a run, or one of its exported files, also a rejected one. Default: the latest run. The file runs on every
    provider, on inputs of listed shapes, of the data's own, and of shapes that are drawn anew for each file. The
    reference is the same model in float64, and every output has an error budget, computed for these weights. The file
    is also compared with a fresh export of the run, node by node and bit by bit: any difference fails.

    \b
    The table has a line for each output of the graph:
      largest error       largest absolute error on any input
      error / budget      largest error in units of its budget; above 1 fails
      torch / budget      the same for torch in float32
      rounding amplified  how many rounding errors one rounding error becomes
      equal labels        predicted labels that equal those of the reference

    With --matrix, TARGET is a run or the name of an architecture, such as your own cell before training. Small models
    with fresh weights are exported and proven: directions, 1 and 3 layers, bias, initial states, lengths, weights,
    opsets, shapes up to batch 16 x 512 steps. The cell of a run keeps its options, and the report is written to
    RUN/onnx/matrix.json. The exit code is 4 unless at least one proof passed and none failed.

    With --against, the reference is a torch.nn.Module in your own code: an instance, or a class or function that gives
    it without arguments. The code is imported from the current folder, and that runs it. Nothing is written.

    \b
      zoo check their.onnx --against models:make_model --weights trained.pt --example example.npz
    """
    from zoo.cli.module_reference import is_reference
    from zoo.cli.target import named_file, run_or_latest
    from zoo.jobs.check import check, check_foreign
    from zoo.jobs.exported import exported_file, exported_files
    from zoo.proof.cases import USUAL, Extent

    extent = Extent(seed, thorough)
    providers = verdict.wanted(chosen, required)
    if matrix and extent != USUAL:
        raise UsageError("--matrix: has shapes of its own; leave --seed and --thorough out, or --matrix")
    given = {"--full": full, "--quick": quick, "--set": overrides, "--features": features}
    for flag, value in given.items():
        if value and not matrix:
            raise UsageError(f"{flag}: is for the matrix; add --matrix, or leave {flag} out")
    if matrix and foreign is not None:
        raise UsageError("--foreign: judges a file, and the matrix makes its own; leave one of them out")
    if full and quick:
        raise UsageError("--quick: contradicts --full; leave one of them out")
    if against is not None:
        modules.refuse(("--matrix", "--foreign"), "judges another file than --against does; leave one of them out")
        if target is None:
            raise UsageError("--against: needs the file to prove: zoo check FILE --against MODULE --example FILE")
        report = modules.check_module(target, modules.Source(against, weights, examples), providers, extent)
        verdict.show_reports([(target, report)], as_json=as_json, bisected=False)
        return
    modules.refuse(("--example", "--weights"), "is for a module of your own code; add --against MODULE")
    if is_reference(target):
        raise UsageError(f"{target}: is a module; name the file to prove, and add --against {target}")
    registry = output.usable_plugins()
    if matrix:
        options = MatrixOptions(full, quick, features, overrides)
        check_matrix(target, registry, providers, options, as_json=as_json)
        return
    if foreign is not None:
        run = run_or_latest(target)
        with output.spinner(f"checking {foreign}") as progress:
            report = check_foreign(foreign, run, registry, providers, progress, extent)
        verdict.show_reports([(foreign, report)], as_json=as_json)
        return
    if target is None or target.is_dir():
        exported = exported_files(run_or_latest(target), registry)
    else:
        run, _, path = named_file(target, registry)
        exported = [exported_file(path, run, registry)]
    results = []
    for file in exported:
        with output.spinner(f"checking {file.path}") as progress:
            report = check(file, registry, providers, progress, extent)
        results.append((file.path, report))
    verdict.show_reports(results, as_json=as_json)
