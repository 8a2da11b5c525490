"""``zoo gates``: every gate and state of a model over the steps of one sequence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import output
from zoo.cli.columns import show_table
from zoo.cli.picture import out_option
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.jobs.gates import Series


@click.command("gates")
@click.argument("path", required=False, metavar="[RUN]", type=click.Path(path_type=Path))
@click.option("--input", "file", type=click.Path(path_type=Path), help="A .npy, .csv or .txt file, as for zoo predict.")
@click.option("--text", help="Text, for a model that reads text.")
@click.option(
    "--row", default=0, show_default=True, type=click.IntRange(0), help="Sequence of the file or sample, from 0."
)
@click.option("--layer", type=click.IntRange(0), help="The only layer to show, from 0. Default: all.")
@out_option
@output.common_options
def command(
    path: Path | None,
    file: Path | None,
    text: str | None,
    row: int,
    layer: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Show every gate and state of RUN (default: the latest) over the steps of one sequence.

    Without --input or --text, the sequence is one of the run's sample. A cell gives gates their names with
    self.watch(...), and states with state_names. Numbers are over all steps and units: the shares of values near 0
    (magnitude below 0.05) and near 1 (above 0.95), and the steps where the mean over the units is lowest and highest.

    \b
    The pictures, one for each layer and direction:
      RUN/gates.png            where there is one
      RUN/gates-0-reverse.png  layer and direction, where there are several
    """
    from zoo.cli.target import run_or_latest
    from zoo.jobs.gates import draw_gates, run_gates

    if file is not None and text is not None:
        raise UsageError("--input and --text: expected one sequence; leave one of them out")
    registry = output.usable_plugins()
    run = run_or_latest(path)
    result = run_gates(run, registry, file=file, text=text, row=row, layer=layer)
    pictures = draw_gates(run, result, out)
    if as_json:
        output.emit({"run": str(run.path), **result.to_dict(), "pictures": [str(picture) for picture in pictures]})
        return
    headings = ("layer", "", "", "mean", "min", "max", "near 0", "near 1", "lowest\nat step", "highest\nat step")
    show_table(headings, [_row(part) for part in result.series], texts=3)
    for picture in pictures:
        output.note(f"{picture}: {result.source}, {result.steps} step{'s' if result.steps > 1 else ''}")


def _row(series: Series) -> tuple[str, ...]:
    summary = series.summary
    numbers = (f"{number:.3g}" for number in (summary.mean, summary.min, summary.max))
    shares = ("" if share is None else f"{share:.0%}" for share in (summary.near_zero, summary.near_one))
    steps = (str(step) for step in (summary.lowest_step, summary.highest_step))
    return f"{series.layer} {series.direction}", series.kind, series.name, *numbers, *shares, *steps
