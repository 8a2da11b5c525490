"""``zoo export``: export a run and prove the exported file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from zoo.cli import modules, output, verdict
from zoo.entry_points import entry_points
from zoo.errors import PluginError, UsageError

if TYPE_CHECKING:
    from zoo.exporting.exporter import Lowering, Precision

LOWERINGS = ("auto", "native", "scan", "unrolled")
"""The values of `zoo.exporting.exporter.Lowering`, repeated because importing that needs torch."""
PRECISIONS: dict[str | None, Precision] = {None: "float32", "fp16": "float16", "bf16": "bfloat16", "int8": "int8"}
"""Value of --precision -> its name in `zoo.exporting.exporter`."""


@click.command("export")
@click.argument("path", metavar="[RUN | MODULE]", required=False, type=click.Path(path_type=Path))
@click.option("--opset", type=int, help="ONNX opset. Default: the newest that every provider supports.")
@click.option(
    "--lowering",
    type=click.Choice(LOWERINGS),
    default="auto",
    show_default=True,
    help="Layers as one operator (native), as a loop (scan), unrolled, or the fastest of these (auto).",
)
@click.option(
    "--target",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Provider to choose the fastest lowering for; the file runs on any.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Steps of an unrolled graph. Default: those of the data.")
@click.option("--states", is_flag=True, help="Add initial states as inputs and final states as outputs.")
@click.option("--streaming", is_flag=True, help="Write a second file that takes a stream in chunks.")
@click.option(
    "--precision",
    type=click.Choice([name for name in PRECISIONS if name]),
    help="Write a second file with weights of this precision, and report whether it is worth it.",
)
@modules.export_options
@verdict.provider_option
@verdict.require_option
@verdict.seed_option
@verdict.thorough_option
@output.common_options
def command(
    path: Path | None,
    opset: int | None,
    lowering: Lowering,
    target: Literal["cpu", "cuda"],
    steps: int | None,
    states: bool,
    streaming: bool,
    precision: str | None,
    examples: tuple[Path, ...],
    weights: Path | None,
    out: Path | None,
    fixed: tuple[str, ...],
    chosen: tuple[str, ...],
    required: tuple[str, ...],
    seed: int | None,
    thorough: bool,
    as_json: bool,
    **formats: bool,
) -> None:
    """Export a run or a module of your own, and prove the file on every available provider. Default: the latest run.

    A file that fails its proof never replaces one that passed: it is saved in rejected/, with the report of its proof.
    The file takes any batch and any number of steps; an unrolled graph takes a fixed number of steps.

    --streaming adds a file for sequences that arrive in chunks: states are inputs and outputs, and the proof compares
    it with whole sequences. --precision adds a file with weights of lower precision: it has a budget of its own, and
    its size, latency and labels are compared with those of the float32 file.

    MODULE is a torch.nn.Module in your own code, such as package.module:make_model: an instance, or a class or function
    that gives it without arguments. The code is imported from the current folder, and that runs it. --example is
    needed; batch and time of the file are free, whatever the sizes of the example.

    \b
      zoo export --onnx models:make_model --weights trained.pt --example example.npz

    'zoo check --help' explains the table.
    """
    selected = _format([name for name, given in formats.items() if given])
    from zoo.cli.module_reference import is_reference
    from zoo.cli.target import run_or_latest
    from zoo.exporting.exporter import ExportOptions
    from zoo.jobs.export import export
    from zoo.proof.cases import Extent

    registry = output.usable_plugins()
    exporter = registry.exporter(selected)
    providers, extent = verdict.wanted(chosen, required), Extent(seed, thorough)
    options = ExportOptions(opset, lowering, target, steps, states, streaming, PRECISIONS[precision])
    if is_reference(path):
        modules.refuse(("--target", "--steps", "--states", "--streaming", "--precision"), modules.FOR_A_RUN)
        source = modules.Source(str(path), weights, examples)
        result = modules.export_module(source, exporter, out, fixed, options, providers, extent)
        verdict.show_reports([result], as_json=as_json, bisected=False)
        return
    modules.refuse(("--example", "--weights", "--out", "--fixed"), modules.FOR_A_MODULE)
    run = run_or_latest(path)
    with output.spinner(f"exporting {run.path}") as progress:
        results = export(run, registry, exporter, providers, options, progress, extent)
    verdict.show_reports(results, as_json=as_json)


def _format(given: list[str]) -> str:
    """Return the format given as a flag, or the only one that is installed."""
    installed = _formats()
    if not installed:
        raise PluginError("no installed plugin provides an exporter; see 'zoo plugins'")
    if len(given) == 1 or (not given and len(installed) == 1):
        return (given or installed)[0]
    raise UsageError(f"choose one format: {' or '.join(f'--{name}' for name in installed)}")


def _formats() -> list[str]:
    """Return the names of the installed exporters; 'zoo plugins' reports a name that cannot be a flag."""
    return sorted({point.label for point in entry_points() if point.kind == "exporter" and point.label.isidentifier()})


for _name in _formats():
    command.params.insert(1, click.Option([f"--{_name}"], is_flag=True, help=f"Export to {_name.upper()}."))
