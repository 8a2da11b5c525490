"""``zoo data``: look at the data of a spec without training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from zoo.cli import output
from zoo.cli.columns import show_table
from zoo.cli.picture import picture_option

if TYPE_CHECKING:
    from zoo.jobs.data import DataReport
    from zoo.jobs.data_columns import Column
    from zoo.jobs.data_contents import Shares

MOST = 20
"""Rows of a table at most; --json has all of them."""
MOST_CATEGORIES = 8
"""Categories of a feature that are listed: the first ones."""
LONGEST = 24
"""Characters of a name in a table; a longer one is cut."""
BARS = "▁▂▃▄▅▆▇█"
PARTS = {"train": "training", "validation": "validation", "test": "test"}


@click.command("data")
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="A.B=C", help="Override one field of the spec. Repeatable.")
@picture_option(".png", ".svg")
@output.common_options
def command(spec: Path, overrides: tuple[str, ...], out: Path | None, as_json: bool) -> None:
    """Look at the data of SPEC without training.

    SPEC is a YAML file or the name of a starter spec. Shown are what was read, the sequences of each part and their
    lengths, every feature and target, the classes, the metrics of naive predictors on the test part, and, as warnings,
    what is suspect: constant features, values that float32 cannot distinguish, classes that a part lacks or that are
    rare, parts that differ, and sequences that occur in two parts. Numbers of features and targets are over all steps
    of the training part; 'outside' is the share of the test part outside their range.
    """
    from zoo.jobs.data import run_data
    from zoo.library.build import checked
    from zoo.spec.starter import resolve

    registry = output.usable_plugins()
    file = resolve(spec)
    if file != spec:
        output.note(f"{spec}: the starter spec {file}")
    with output.spinner("looking at the data") as progress, checked(file, overrides, registry, None) as (resolved, _):
        report = run_data(resolved, registry, progress=progress)
    picture = None if out is None else report.draw(out)
    for warning in report.warnings:
        output.warn(warning)
    if as_json:
        values = report.to_dict()
        output.emit({"spec": resolved.to_dict(), **values, "picture": None if picture is None else str(picture)})
        return
    _show(report)
    if picture is not None:
        output.note(f"{picture}: the picture of the data")


def _show(report: DataReport) -> None:
    for line in wrap(report.description, 100):
        click.echo(output.one_line(line))
    click.echo(f"{report.memory / 1e6:,.1f} MB in memory\n")
    _show_parts(report)
    for kind, columns in (("feature", report.features), ("target", report.targets)):
        if columns:
            _show_columns(kind, columns)
    for kind, shares in (("class", report.classes), ("token", report.tokens)):
        if shares is not None:
            _show_shares(kind, shares)
    if report.baselines:
        _show_baselines(report.baselines, report.metric)


def _show_parts(report: DataReport) -> None:
    """Print the sequences of each part, their lengths and how many of them the training part contains too."""
    rows = [
        (
            PARTS[part],
            f"{size:,}",
            *(f"{steps:,.0f}" for steps in (lengths.shortest, lengths.median, lengths.longest)),
            _line(lengths.histogram) if len(lengths.histogram) > 1 else "",
            f"{report.repeated[part]:,}" if part in report.repeated else "",
        )
        for (part, size), lengths in zip(report.sizes.items(), report.lengths.values(), strict=True)
    ]
    show_table(("part", "sequences", "steps: shortest", "median", "longest", "", "also in training"), rows)


def _line(counts: Sequence[int]) -> str:
    """Return a histogram as a line of bars; a bin without a value is a space."""
    most = max(1, *counts)
    return "".join(BARS[(count * len(BARS) - 1) // most] if count else " " for count in counts)


def _show_columns(kind: str, columns: Sequence[Column]) -> None:
    headings = (kind, "mean", "deviation", "min", "max", "zeros", "test mean", "outside", "distribution")
    rows = [_number_row(column) for column in columns if column.kind == "number"]
    if rows:
        click.echo()
        show_table(headings, rows[:MOST])
        _show_rest(len(rows))
    categories = [column for column in columns if column.kind == "category"]
    if categories:
        click.echo()
        show_table((kind, "categories"), [_category_row(column) for column in categories[:MOST]], texts=2)
        _show_rest(len(categories))


def _number_row(column: Column) -> tuple[str, ...]:
    train, test = column.parts["train"], column.parts["test"]
    numbers = (f"{number:.4g}" for number in (train.mean, train.deviation, train.minimum, train.maximum))
    shares = f"{train.zeros:.0%}", f"{test.mean:.4g}", f"{test.outside:.0%}"
    return _name(column.name), *numbers, *shares, "constant" if column.constant else _line(train.histogram)


def _category_row(column: Column) -> tuple[str, str]:
    counts = [f"{_name(name)} {each['train']:,}" for name, each in column.categories.items()]
    more = len(counts) - MOST_CATEGORIES
    listed = [*counts[:MOST_CATEGORIES], *([f"{more:,} more"] if more > 0 else [])]
    unknown = [f"{count:,} unknown in the {PARTS[part]} part" for part, count in column.unknown.items() if count]
    return _name(column.name), ", ".join([*listed, *unknown])


def _show_shares(kind: str, shares: Shares) -> None:
    names = shares.most_frequent(MOST) if kind == "token" else list(shares.counts)[:MOST]
    rows = [(_name(name), *_cells(shares, name)) for name in names]
    click.echo()
    show_table((f"{kind}, {shares.unit}", *(heading for part in PARTS.values() for heading in (part, "%"))), rows)
    _show_rest(len(shares.counts))


def _cells(shares: Shares, name: str) -> Iterator[str]:
    for part in PARTS:
        yield f"{shares.counts[name][part]:,}"
        yield f"{100 * shares.share(name, part):.1f}"


def _show_baselines(baselines: Mapping[str, Mapping[str, float]], metric: str) -> None:
    """Print the metrics of naive predictors, the one to compare by first."""
    names = sorted(next(iter(baselines.values())), key=lambda name: name != metric)
    rows = [
        (name.replace("_", " "), *(f"{metrics[name]:.4g}" if name in metrics else "" for metrics in baselines.values()))
        for name in names
    ]
    click.echo()
    show_table(("test part, naive predictor", *baselines), rows)


def _show_rest(count: int) -> None:
    if count > MOST:
        click.echo(f"… and {count - MOST:,} more (--json has all)")


def _name(name: str) -> str:
    """Return a name for a cell: cut, and quoted where it would not be visible."""
    shown = name if name.isprintable() and name.strip() else repr(name)
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
