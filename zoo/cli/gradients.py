"""``zoo gradients``: how far back in time the gradients of a model reach."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import output
from zoo.cli.columns import show_table
from zoo.cli.picture import out_option


@click.command("gradients")
@click.argument("paths", nargs=-1, metavar="[RUN]...", type=click.Path(path_type=Path))
@click.option("--untrained", is_flag=True, help="Use the initial weights, from before training.")
@out_option
@output.common_options
def command(paths: tuple[Path, ...], untrained: bool, out: Path | None, as_json: bool) -> None:
    """Measure how strongly the loss at the end of a sequence depends on the state at each step.

    For each RUN (default: the latest) and each part of the state: the Euclidean norm of dLoss/dstate at every step,
    through all later steps, as a mean over the sample sequences of the run. For a model with an output at every step,
    the loss is that of the last step. The picture is saved in RUN/gradients.png, for several runs in ./gradients.png.
    """
    from zoo.cli.target import run_or_latest
    from zoo.jobs.gradients import run_gradients

    registry = output.usable_plugins()
    runs = list(dict.fromkeys(run_or_latest(path) for path in paths or (None,)))
    with output.spinner("following gradients") as progress:
        result = run_gradients(runs, registry, untrained=untrained, progress=progress)
    own = runs[0] if out is None and len(runs) == 1 else None
    picture = out or (own.path if own else Path()) / f"gradients{'-untrained' if untrained else ''}.png"
    result.draw(picture, own)
    if as_json:
        values = result.to_dict()
        entries = [{"run": str(run.path), **entry} for run, entry in zip(runs, values["runs"], strict=True)]
        output.emit({**values, "runs": entries, "picture": str(picture)})
        return
    rows = [
        (name, curve.state, *(f"{value:.2e}" for value in (curve.first, curve.middle, curve.last, curve.ratio)))
        for name, gradients in result.runs.items()
        for curve in gradients.curves
    ]
    show_table(("run", "state", "first step", "middle", "last step", "first/last"), rows, texts=2)
    click.echo(f"{picture}: the norm of dLoss/dstate at every step, {result.weights} weights", err=True)
