"""``zoo check``: prove an exported file again, or a cell in all its settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from zoo.cli import modules, output, verdict
from zoo.cli.matrix import MatrixOptions, check_matrix
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.proof.cases import Extent
    from zoo.proof.prove import ProviderRequest

HELP = """Prove that an exported file computes what the model of its run computes.

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


class _Request(NamedTuple):
    """What every way to check needs."""

    target: Path | None
    wanted: ProviderRequest
    extent: Extent
    as_json: bool


@click.command("check", help=HELP)
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
    foreign: Path | None,
    against: str | None,
    examples: tuple[Path, ...],
    weights: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Prove an exported file again, any file against a run or a module, or a cell in all its settings."""
    from zoo.proof.cases import Extent

    request = _Request(target, verdict.wanted(chosen, required), Extent(seed, thorough), as_json)
    options = MatrixOptions(**settings)
    if not matrix:
        _refuse_settings(options)
    if against is not None:
        _check_against(request, modules.Source(against, weights, examples))
        return
    modules.refuse(("--example", "--weights"), "is for a module of your own code; add --against MODULE")
    _refuse_reference(target)
    if matrix:
        _check_cell(request, options)
    elif foreign is not None:
        _check_foreign(request, foreign)
    else:
        _check_exported(request)


def _check_exported(request: _Request) -> None:
    """Prove the exported files of a run, or one of them."""
    from zoo.cli.target import named_file, run_or_latest
    from zoo.jobs.check import check
    from zoo.jobs.exported import exported_file, exported_files

    registry = output.usable_plugins()
    if request.target is None or request.target.is_dir():
        exported = exported_files(run_or_latest(request.target), registry)
    else:
        run, _, path = named_file(request.target, registry)
        exported = [exported_file(path, run, registry)]
    results = []
    for file in exported:
        with output.spinner(f"checking {file.path}") as progress:
            report = check(file, registry, request.wanted, progress, request.extent)
        results.append((file.path, report))
    verdict.show_reports(results, as_json=request.as_json)


def _check_foreign(request: _Request, path: Path) -> None:
    """Judge any file against the model of a run."""
    from zoo.cli.target import run_or_latest
    from zoo.jobs.check import check_foreign

    registry = output.usable_plugins()
    run = run_or_latest(request.target)
    with output.spinner(f"checking {path}") as progress:
        report = check_foreign(path, run, registry, request.wanted, progress, request.extent)
    verdict.show_reports([(path, report)], as_json=request.as_json)


def _check_against(request: _Request, source: modules.Source) -> None:
    """Prove a file against a module of the user's own code."""
    modules.refuse(("--matrix", "--foreign"), "judges another file than --against does; leave one of them out")
    if request.target is None:
        raise UsageError("--against: needs the file to prove: zoo check FILE --against MODULE --example FILE")
    report = modules.check_module(request.target, source, request.wanted, request.extent)
    verdict.show_reports([(request.target, report)], as_json=request.as_json, bisected=False)


def _check_cell(request: _Request, options: MatrixOptions) -> None:
    """Prove a cell in all its settings."""
    from zoo.proof.cases import USUAL

    modules.refuse(("--foreign",), "judges a file, and the matrix makes its own; leave one of them out")
    if request.extent != USUAL:
        raise UsageError("--matrix: has shapes of its own; leave --seed and --thorough out, or --matrix")
    if options.full and options.quick:
        raise UsageError("--quick: contradicts --full; leave one of them out")
    check_matrix(request.target, output.usable_plugins(), request.wanted, options, as_json=request.as_json)


def _refuse_settings(options: MatrixOptions) -> None:
    """Raise a `UsageError` for an option of the matrix where none is made."""
    given = {"--full": options.full, "--quick": options.quick, "--set": options.overrides}
    for flag, value in {**given, "--features": options.features}.items():
        if value:
            raise UsageError(f"{flag}: is for the matrix; add --matrix, or leave {flag} out")


def _refuse_reference(target: Path | None) -> None:
    """Raise a `UsageError` for a module in place of a file."""
    from zoo.cli.module_reference import is_reference

    if is_reference(target):
        raise UsageError(f"{target}: is a module; name the file to prove, and add --against {target}")
