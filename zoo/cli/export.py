"""``zoo export``: export a run and prove that the file computes the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from zoo.cli import output, verdict
from zoo.entry_points import entry_points
from zoo.errors import PluginError, UsageError

if TYPE_CHECKING:
    from zoo.exporting.exporter import Lowering, Precision

LOWERINGS = ("auto", "native", "scan", "unrolled")
"""Those of `zoo.exporting.exporter.Lowering`, which would need torch."""
PRECISIONS: dict[str | None, Precision] = {None: "float32", "fp16": "float16", "bf16": "bfloat16", "int8": "int8"}
"""What the option says, and what `zoo.exporting.exporter` calls it."""


@click.command("export")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--opset", type=int, help="Version of the operators; the newest that every provider has when left out.")
@click.option(
    "--lowering",
    type=click.Choice(LOWERINGS),
    default="auto",
    show_default=True,
    help="Layers as one operator (native), a loop (scan), their steps in a row (unrolled), or whatever is fastest.",
)
@click.option(
    "--target",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="What the file is to be fast on. It runs on any.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Of an unrolled graph; as in the run's data when left out.")
@click.option("--states", is_flag=True, help="Initial states are inputs too, and final ones outputs.")
@click.option("--streaming", is_flag=True, help="Write a second file too: a chunk and the states in, and out again.")
@click.option(
    "--precision",
    type=click.Choice([name for name in PRECISIONS if name]),
    help="Write a second file too, with weights of this precision, and say whether it is worth it.",
)
@verdict.provider_option
@verdict.require_option
@output.common_options
def command(
    run: Path | None,
    opset: int | None,
    lowering: Lowering,
    target: Literal["cpu", "cuda"],
    steps: int | None,
    states: bool,
    streaming: bool,
    precision: str | None,
    chosen: tuple[str, ...],
    required: tuple[str, ...],
    as_json: bool,
    **formats: bool,
) -> None:
    """Export RUN (the latest when none is named) and prove the file on every provider there is.

    A file that fails its proof never replaces one that passed: it goes to rejected/, with the report. An unrolled graph
    takes one number of steps, and is proven with that; any other takes any. With --streaming there is a second file,
    for sequences that come bit by bit; it is proven against whole sequences. With --precision there is one that keeps
    its weights in fewer bits; it has a budget of its own, and its size, time and answers are held against the float32
    file's.
    """
    wanted = _format([name for name, asked in formats.items() if asked])
    from zoo.cli.target import run_or_latest
    from zoo.exporting.exporter import ExportOptions
    from zoo.jobs.export import export

    registry = output.usable_plugins()
    exporter = registry.exporter(wanted)
    found = run_or_latest(run)
    with output.spinner(f"exporting {found.path}") as progress:
        options = ExportOptions(opset, lowering, target, steps, states, streaming, PRECISIONS[precision])
        results = export(found, registry, exporter, verdict.wanted(chosen, required), options, progress)
    verdict.tell(results, as_json=as_json)


def _format(asked: list[str]) -> str:
    """The one format asked for, or the only one there is."""
    installed = _formats()
    if not installed:
        raise PluginError("no installed plugin brings an exporter; see 'zoo plugins'")
    if len(asked) == 1 or (not asked and len(installed) == 1):
        return (asked or installed)[0]
    raise UsageError(f"choose one format: {' or '.join(f'--{name}' for name in installed)}")


def _formats() -> list[str]:
    """The names of the installed exporters; what is no word can be no flag, and is told by 'zoo plugins'."""
    return sorted({point.label for point in entry_points() if point.kind == "exporter" and point.label.isidentifier()})


for _name in _formats():
    command.params.insert(1, click.Option([f"--{_name}"], is_flag=True, help=f"Write {_name.upper()}."))
