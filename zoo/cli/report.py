"""``zoo report``: an HTML page about a run and its proofs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from zoo.cli import output
from zoo.cli.out import OutPath


@click.command("report")
@click.argument("path", metavar="[RUN]", required=False, type=click.Path(path_type=Path))
@click.option("--out", type=OutPath(dir_okay=False), help="File for the page. Default: report.html in the run.")
@output.common_options
def command(path: Path | None, out: Path | None, as_json: bool) -> None:
    """Write an HTML report of RUN: results, proofs, placement, latency and training. Default: the latest run.

    The page is one self-contained HTML file. Its pictures are also saved in the folder report/ of the run. Measurements
    that are missing are listed, each with the command that makes it.
    """
    from zoo.cli.target import run_or_latest
    from zoo.report import write_report

    registry = output.usable_plugins()
    run = run_or_latest(path)
    with output.spinner(f"report of {run.path}") as progress:
        report = write_report(run, registry, out, progress)
    if as_json:
        missing = [asdict(section) for section in report.missing]
        pictures = [str(picture) for picture in report.pictures]
        output.emit({"path": str(report.path), "pictures": pictures, "verdict": report.verdict, "missing": missing})
        return
    click.echo(report.path)
    for section in report.missing:
        click.echo(f"missing: {section.what} {section.command}", err=True)
