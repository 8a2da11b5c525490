"""``zoo gradients``: how far back a model's gradient reaches."""

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
@click.argument("runs", nargs=-1, metavar="[RUN]...", type=click.Path(path_type=Path))
@click.option("--untrained", is_flag=True, help="Take the weights that training began with.")
@out_option
@output.common_options
def command(runs: tuple[Path, ...], untrained: bool, out: Path | None, as_json: bool) -> None:
    """Show how much the state after each step of a sequence matters to the loss at its end.

    For each RUN (the latest when none is named) and every part of its state: the norm of dLoss/dstate at every step,
    through everything that follows. It is the Euclidean norm of the gradient of a sequence's own loss, as a mean over
    the sequences of the run's sample that have the step. Where each step has an answer, the loss is that of the last
    one alone. The picture goes to RUN/gradients.png, or to gradients.png here for several runs.
    """
    from zoo.cli.target import run_or_latest
    from zoo.jobs.gradients import run_state_gradients
    from zoo.plots.gradients import plot_gradients

    registry = output.usable_plugins()
    found = list(dict.fromkeys(run_or_latest(path) for path in runs or (None,)))
    names = _names(found)
    results: dict[str, StateGradients] = {}
    with output.spinner("following gradients") as progress:
        for name, run in zip(names, found, strict=True):
            progress(name)
            results[name] = run_state_gradients(run, registry, untrained=untrained)
    weights = "untrained" if untrained else "trained"
    if out is None:
        out = (found[0].path if len(found) == 1 else Path()) / f"gradients{'-untrained' if untrained else ''}.png"
    title = f"How much each step matters to the loss at the end, {weights}"
    plot_gradients({name: gradients.curves for name, gradients in results.items()}, title, out)
    if as_json:
        entries = [_entry(run, name, results[name]) for name, run in zip(names, found, strict=True)]
        output.emit({"weights": weights, "runs": entries, "picture": str(out)})
        return
    rows = [
        (name, curve.state, *(f"{value:.2e}" for value in (curve.first, curve.middle, curve.last, curve.ratio)))
        for name, gradients in results.items()
        for curve in gradients.curves
    ]
    show_table(("run", "state", "first step", "middle", "last step", "first/last"), rows, texts=2)
    click.echo(f"{out}: the norm of dLoss/dstate at every step, {weights} weights", err=True)


def _names(runs: list[Run]) -> list[str]:
    """The folders' names, or their whole paths where two are called the same."""
    names = [run.path.resolve().name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]


def _entry(run: Run, name: str, result: StateGradients) -> dict[str, object]:
    states = [curve.to_dict() for curve in result.curves]
    return {"run": str(run.path), "name": name, "sequences": result.sequences, "loss": result.loss, "states": states}
