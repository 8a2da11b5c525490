"""``zoo compare``: several runs in one table."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import output
from zoo.cli.columns import GAP, show_table
from zoo.cli.picture import out_option

if TYPE_CHECKING:
    from zoo.jobs.compare import Comparison, Group

WIDTH, SHORTEST_LABEL = 100, 16
"""Characters of a line of the table at most, and of a wrapped label at least."""


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@out_option
@output.common_options
def command(runs: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Compare RUNs of one task: quality, size, training time, and size and latency of the exported file.

    Runs that differ only in the seed share a row with the mean metric on the test part, its minimum and its maximum.
    The latency is the median for one sequence in ONNX Runtime with one thread. The picture is saved in compare.png.
    """
    from zoo.jobs.compare import compare
    from zoo.plots.comparison import plot_comparison
    from zoo.run.run import Run

    registry = output.usable_plugins()
    with output.spinner("comparing"):
        comparison = compare([Run.find(path) for path in runs], registry)
    picture = out or Path("compare.png")
    plot_comparison(comparison, picture)
    if as_json:
        output.emit({**comparison.to_dict(), "picture": str(picture)})
        return
    _show(comparison)
    for note in _notes(comparison):
        click.echo(note, err=True)
    click.echo(f"{picture}: the comparison as a picture", err=True)


def _show(comparison: Comparison) -> None:
    headings = (
        "\n".join([*comparison.metric.split("_"), "min..max"]),
        "seeds",
        "naive",
        "parameters\nweights",
        "training\nmedian",
        "ONNX\nfile",
        "latency\nmedian",
    )
    rows = [_row(group) for group in comparison.groups]
    widths = (
        max(len(line) for cell in column for line in cell.split("\n")) for column in zip(headings, *rows, strict=True)
    )
    left = max(SHORTEST_LABEL, WIDTH - sum(len(GAP) + width for width in widths))
    labels = ["\n".join(textwrap.wrap(group.label, left)) for group in comparison.groups]
    show_table(("model", *headings), [(label, *row) for label, row in zip(labels, rows, strict=True)])


def _row(group: Group) -> tuple[str, ...]:
    spread = f"\n{min(group.values):.4g}..{max(group.values):.4g}" if len(group.values) > 1 else ""
    naive = "-" if group.baseline_value is None else f"{group.baseline_value:.4g}\n{group.baseline}"
    return (
        f"{group.mean:.4g}{spread}",
        str(len(group.seeds)),
        naive,
        f"{group.parameters:,}\n{_size(group.weights_bytes)}",
        f"{group.training_seconds:.1f} s",
        "-" if group.export_bytes is None else _size(group.export_bytes),
        "\n".join(f"{1e3 * seconds:.3g} ms {provider}" for provider, seconds in group.latency.items()) or "-",
    )


def _size(count: int) -> str:
    """Return a number of bytes as text: 512 B, 21.3 kB, 4.5 MB."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.4g} {unit}" if unit == "B" else f"{size:.3g} {unit}"


def _notes(comparison: Comparison) -> list[str]:
    """Return the caveats of the table, a line each."""
    notes = []
    for group in comparison.groups:
        count = len(group.runs)
        if group.constant:
            notes.append(f"{group.label}: the same prediction for every sequence in {group.constant} of {count} runs")
        if group.not_beaten:
            notes.append(f"{group.label}: no better than a naive predictor in {group.not_beaten} of {count} runs")
        if group.export_bytes is None:
            notes.append(
                f"{group.label}: not exported, so it has no file to measure; zoo export --onnx {group.runs[0]}"
            )
    places = sorted({place for group in comparison.groups for place in group.trained_on})
    if len(places) > 1:
        notes.append(f"training times are not comparable: the runs were trained on {'; '.join(places)}")
    times = sorted({group.time for group in comparison.groups})
    if len(times) > 1:
        notes.append(f"latencies are not comparable: the sequences of the runs have {', '.join(map(str, times))} steps")
    notes += [f"{name}: unavailable: {reason}" for name, reason in comparison.unavailable.items()]
    return notes
