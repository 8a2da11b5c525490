"""``zoo bench``: how fast a run's model answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import output
from zoo.cli.columns import show_table
from zoo.cli.export import LOWERINGS
from zoo.timing import duration

if TYPE_CHECKING:
    from zoo.exporting.exporter import Lowering
    from zoo.jobs.bench import Bench, Row

REFRESH = 0.25
"""Seconds between two looks of the bar."""
_COUNT = click.IntRange(1)


@click.command("bench")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--provider",
    "providers",
    multiple=True,
    type=click.Choice(["cpu", "cuda"]),
    help="Measure on this one. Repeatable; all that are there when left out.",
)
@click.option(
    "--lowering",
    "lowerings",
    multiple=True,
    type=click.Choice(LOWERINGS),
    help="Measure this one. Repeatable; all that the model has when left out.",
)
@click.option("--batch", "batches", multiple=True, type=_COUNT, help="Sequences at once. Repeatable; 1 and 32.")
@click.option(
    "--time",
    "times",
    multiple=True,
    type=_COUNT,
    help="Steps of a sequence. Repeatable; the data's and 4 times those.",
)
@click.option("--threads", default=1, show_default=True, type=_COUNT, help="Of ONNX Runtime and of torch.")
@click.option("--rounds", default=101, show_default=True, type=_COUNT, help="How often each takes its turn, at most.")
@click.option(
    "--seconds", default=10.0, show_default=True, type=float, help="Begin no round after that, for each batch and time."
)
@output.common_options
def command(
    run: Path | None,
    providers: tuple[str, ...],
    lowerings: tuple[Lowering, ...],
    batches: tuple[int, ...],
    times: tuple[int, ...],
    threads: int,
    rounds: int,
    seconds: float,
    as_json: bool,
) -> None:
    """Measure how fast RUN (the latest when none is named) answers: each lowering in ONNX Runtime, and torch eager.

    For every provider, batch and time: the median and the 95th percentile of the time of a batch, what that makes in
    sequences and steps a second, and how many times the first row's time each takes, with quartiles over the rounds.
    All take turns, so that a machine that others use too is slow for each alike. Each lowering is exported for this
    alone; 'zoo check' proves the file that is kept. The results go to bench.json and bench.png in the run.
    """
    from zoo.cli.target import run_or_latest
    from zoo.files import write_json
    from zoo.jobs.bench import Plan, bench
    from zoo.plots.latency import plot_bench

    registry = output.usable_plugins()
    found = run_or_latest(run)
    plan = Plan(
        providers=tuple(dict.fromkeys(providers)),
        lowerings=tuple(dict.fromkeys(lowerings)),
        batches=tuple(dict.fromkeys(batches)) or Plan.batches,
        times=tuple(dict.fromkeys(times)),
        threads=threads,
        rounds=rounds,
        seconds=seconds,
    )
    with _bar() as progress:
        result = bench(found, registry, plan, progress)
    picture, report = found.path / "bench.png", found.path / "bench.json"
    plot_bench(result, picture)
    write_json(report, {"schema_version": output.SCHEMA_VERSION, **result.to_dict()})
    if as_json:
        output.emit({**result.to_dict(), "picture": str(picture)})
        return
    _show(result)
    for note in _notes(result):
        click.echo(note, err=True)
    click.echo(f"{report}, {picture}: the same for programs, and as a picture", err=True)


@contextmanager
def _bar() -> Iterator[Callable[[str, float], None]]:
    """A bar with the time that is left, on a terminal; silence elsewhere. Yields what moves it.

    It is drawn between two measurements only. By itself rich draws from a thread, ten times a second, and so in the
    middle of whatever is being measured.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    screen = output.console()
    if not screen.is_terminal:
        yield lambda _, __: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, auto_refresh=False) as progress:
        bar, shown, drawn = progress.add_task("", total=1.0), "", time.monotonic()

        def move(what: str, share: float) -> None:
            nonlocal shown, drawn
            progress.update(bar, description=what, completed=share)
            if what != shown or time.monotonic() - drawn >= REFRESH:
                progress.refresh()
                shown, drawn = what, time.monotonic()

        yield move


def _show(result: Bench) -> None:
    found = result.versions
    runtime = next(found[name] for name in ("onnxruntime-gpu", "onnxruntime") if name in found)
    threads = f"{result.threads} thread{'s' if result.threads > 1 else ''} each"
    click.echo(f"{result.run}: ONNX Runtime {runtime} and torch {found['torch']}, {threads}")
    for block in result.blocks:
        click.echo()
        where = f"{block.provider}, batch {block.batch}, {block.time} steps\n{block.rounds} rounds"
        headings = (
            where,
            "median\np50",
            "\np95",
            "sequences\na second",
            "steps\na second",
            "times the first\nquartiles",
        )
        show_table(headings, [_row(row, first=row is block.rows[0]) for row in block.rows])


def _row(row: Row, *, first: bool) -> tuple[str, ...]:
    speeds = (f"{row.sequences_per_second:,.0f}", f"{row.steps_per_second:,.0f}")
    return (row.name, duration(row.p50), duration(row.p95), *speeds, "1" if first else str(row.ratio))


def _notes(result: Bench) -> list[str]:
    """What was not measured and why, and where nodes did not run on the provider that was measured."""
    from zoo.runtime.providers import PROVIDERS

    notes = [f"{name}: unavailable: {reason}" for name, reason in result.unavailable.items()]
    notes += [f"{one.name}: left out: {one.reason}" for one in result.left_out]
    for block in result.blocks:
        for row in block.rows:
            strays = sum(row.nodes.values()) - row.nodes.get(PROVIDERS[block.provider], 0)
            if strays:
                notes.append(f"{block.provider}, {row.name}: {strays} of {sum(row.nodes.values())} nodes ran elsewhere")
    return list(dict.fromkeys(notes))
