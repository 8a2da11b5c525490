"""``zoo report``: one page about a run and its proof."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from zoo.cli import output
from zoo.cli.out import OutPath


@click.command("report")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--out", type=OutPath(dir_okay=False), help="Where to write the page.")
@output.common_options
def command(run: Path | None, out: Path | None, as_json: bool) -> None:
    """Write a page about RUN (the latest when none is named) and its proof, from what the run's folder holds.

    The page is one HTML file that needs no network: report.html in the run, unless --out names another place. Its
    pictures are in report/ too. What has not been measured yet is told there, with the command that does it.
    """
    from zoo.cli.target import run_or_latest
    from zoo.report import write_report

    registry = output.usable_plugins()
    found = run_or_latest(run)
    with output.spinner(f"report of {found.path}") as progress:
        report = write_report(found, registry, out, progress)
    if as_json:
        missing = [asdict(one) for one in report.missing]
        pictures = [str(picture) for picture in report.pictures]
        output.emit({"path": str(report.path), "pictures": pictures, "verdict": report.verdict, "missing": missing})
        return
    click.echo(report.path)
    for one in report.missing:
        click.echo(f"missing: {one.what} {one.command}", err=True)
