"""``zoo gradients``: how far back in time the gradients of a model reach."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import output
from zoo.cli.columns import show_table
from zoo.cli.picture import out_option

if TYPE_CHECKING:
    from zoo.jobs.gradients import StateGradients
    from zoo.run.run import Run


@click.command("gradients")
@click.argument("paths", nargs=-1, metavar="[RUN]...", type=click.Path(path_type=Path))
@click.option("--untrained", is_flag=True, help="Use the initial weights, from before training.")
@out_option
@output.common_options
def command(paths: tuple[Path, ...], untrained: bool, out: Path | None, as_json: bool) -> None:
    """Measure how strongly the loss at the end of a sequence depends on the state at each step.

    For each RUN (default: the latest) and each part of the state: the Euclidean norm of dLoss/dstate at every step, through
    all later steps, as a mean over the sample sequences of the run. For a model with an output at every step, the loss
    is that of the last step. The picture is saved in RUN/gradients.png, for several runs in ./gradients.png.
    """
    from zoo.cli.target import run_or_latest
    from zoo.jobs.gradients import draw_gradients, run_state_gradients

    registry = output.usable_plugins()
    runs = list(dict.fromkeys(run_or_latest(path) for path in paths or (None,)))
    names = _names(runs)
    results: dict[str, StateGradients] = {}
    with output.spinner("following gradients") as progress:
        for name, run in zip(names, runs, strict=True):
            progress(name)
            results[name] = run_state_gradients(run, registry, untrained=untrained)
    weights = "untrained" if untrained else "trained"
    own = runs[0] if out is None and len(runs) == 1 else None
    picture = out or (own.path if own else Path()) / f"gradients{'-untrained' if untrained else ''}.png"
    draw_gradients(results, untrained=untrained, path=picture, run=own)
    if as_json:
        entries = [_entry(run, name, results[name]) for name, run in zip(names, runs, strict=True)]
        output.emit({"weights": weights, "runs": entries, "picture": str(picture)})
        return
    rows = [
        (name, curve.state, *(f"{value:.2e}" for value in (curve.first, curve.middle, curve.last, curve.ratio)))
        for name, gradients in results.items()
        for curve in gradients.curves
    ]
    show_table(("run", "state", "first step", "middle", "last step", "first/last"), rows, texts=2)
    click.echo(f"{picture}: the norm of dLoss/dstate at every step, {weights} weights", err=True)


def _names(runs: list[Run]) -> list[str]:
    """Return the folder name of each run, or the whole paths where two folders share a name."""
    names = [run.path.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]


def _entry(run: Run, name: str, result: StateGradients) -> dict[str, object]:
    states = [curve.to_dict() for curve in result.curves]
    return {"run": str(run.path), "name": name, "sequences": result.sequences, "loss": result.loss, "states": states}
