"""``zoo bench``: measure the latency and throughput of a run's model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import output
from zoo.cli.columns import show_table
from zoo.cli.export import LOWERINGS

if TYPE_CHECKING:
    from zoo.exporting.exporter import Lowering
    from zoo.jobs.bench import Bench

_COUNT = click.IntRange(1)


@click.command("bench")
@click.argument("path", metavar="[RUN]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--provider",
    "providers",
    multiple=True,
    type=click.Choice(["cpu", "cuda"]),
    help="Provider to measure. Repeatable. Default: all available.",
)
@click.option(
    "--lowering",
    "lowerings",
    multiple=True,
    type=click.Choice(LOWERINGS),
    help="Lowering to measure. Repeatable. Default: all that the model has.",
)
@click.option("--batch", "batches", multiple=True, type=_COUNT, help="Batch size. Repeatable. Default: 1 and 32.")
@click.option(
    "--time",
    "times",
    multiple=True,
    type=_COUNT,
    help="Steps of a sequence. Repeatable. Default: those of the data, and 4 times as many.",
)
@click.option("--threads", default=1, show_default=True, type=_COUNT, help="Threads of ONNX Runtime and of torch.")
@click.option("--rounds", default=101, show_default=True, type=_COUNT, help="Measurements of each candidate, at most.")
@click.option(
    "--seconds",
    default=10.0,
    show_default=True,
    type=float,
    help="Seconds after which no round begins, for each input.",
)
@output.common_options
def command(
    path: Path | None,
    providers: tuple[str, ...],
    lowerings: tuple[Lowering, ...],
    batches: tuple[int, ...],
    times: tuple[int, ...],
    threads: int,
    rounds: int,
    seconds: float,
    as_json: bool,
) -> None:
    """Measure latency and throughput of RUN: every lowering in ONNX Runtime, and torch eager. Default: the latest run.

    For every provider, batch and number of steps, the table shows the median and the 95th percentile of the latency of
    a batch, the throughput, and the ratio to the latency of the first row with its quartiles. The candidates are
    measured in turns, so that other load on the machine affects all of them. Every lowering is exported for the
    measurement only. The results are saved in bench.json and bench.png in the run.
    """
    from zoo.cli.target import run_or_latest
    from zoo.files import write_json
    from zoo.jobs.bench import Plan, bench
    from zoo.plots.latency import plot_bench
    from zoo.run.lock import locked

    registry = output.usable_plugins()
    run = run_or_latest(path)
    plan = Plan(
        providers=tuple(dict.fromkeys(providers)),
        lowerings=tuple(dict.fromkeys(lowerings)),
        batches=tuple(dict.fromkeys(batches)) or Plan.batches,
        times=tuple(dict.fromkeys(times)),
        threads=threads,
        rounds=rounds,
        seconds=seconds,
    )
    picture, report = run.path / "bench.png", run.path / "bench.json"
    with locked(run.path, "zoo bench"):
        with output.spinner(f"measuring {run.path}", still=True) as progress:
            result = bench(run, registry, plan, progress)
        plot_bench(result, picture)
        write_json(report, {"schema_version": output.SCHEMA_VERSION, **result.to_dict()})
    if as_json:
        output.emit({**result.to_dict(), "picture": str(picture)})
        return
    _show(result)
    for note in _notes(result):
        click.echo(note, err=True)
    click.echo(f"{report}, {picture}: the results as JSON and as a picture", err=True)


def _show(result: Bench) -> None:
    from zoo.report.speed import latency_rows

    versions = result.versions
    runtime = next(versions[name] for name in ("onnxruntime-gpu", "onnxruntime") if name in versions)
    threads = f"{result.threads} thread{'s' if result.threads > 1 else ''} each"
    click.echo(f"{result.run}: ONNX Runtime {runtime} and torch {versions['torch']}, {threads}")
    for block in result.blocks:
        click.echo()
        headings = (
            f"{block.provider}, batch {block.batch}, {block.time} steps\n{block.rounds} rounds",
            "median\np50",
            "\np95",
            "sequences\na second",
            "steps\na second",
            "times the first\nquartiles",
        )
        show_table(headings, latency_rows(block))


def _notes(result: Bench) -> list[str]:
    """Return a line for each provider and candidate that was not measured, and for nodes on another provider."""
    from zoo.report.speed import not_measured
    from zoo.runtime.providers import PROVIDERS

    notes = not_measured(result)
    for block in result.blocks:
        for row in block.rows:
            total = sum(row.nodes.values())
            if strays := total - row.nodes.get(PROVIDERS[block.provider], 0):
                notes.append(f"{block.provider}, {row.name}: {strays} of {total} nodes ran on another provider")
    return list(dict.fromkeys(notes))
