"""``zoo bisect``: find the first wrong node of a file that failed its proof."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from zoo.cli import output
from zoo.errors import ParityError


@click.command("bisect")
@click.argument("target", required=False, type=click.Path(path_type=Path))
@output.common_options
def command(target: Path | None, as_json: bool) -> None:
    """Find the first wrong node of an exported file, and inside a loop the first wrong step.

    TARGET is an exported file or a run. Default: the latest run. Of a run, the file with the worst verdict is examined,
    a rejected file first. The result is saved in bisect/ beside the file: a report, the smallest failing piece of the
    graph, its input, and a script that runs the piece.
    """
    from zoo.bisect import bisect, open_suspect
    from zoo.cli.target import suspect
    from zoo.jobs.exported import recorded_proof
    from zoo.run.lock import locked

    registry = output.usable_plugins()
    run, exporter, path = suspect(target, registry)
    folder = run.export_folder(exporter.name) / "bisect"
    with output.spinner(f"bisecting {path}") as progress, locked(run.path, "zoo bisect"):
        spec, _, model = run.load(registry)
        recorded, extent = recorded_proof(path, run, registry)
        extent = extent._replace(batches=(spec.training.batch_size,))
        opened = open_suspect(path, model, exporter, run.sample(), progress, recorded, extent)
        report = bisect(opened, folder, progress)
    if as_json:
        output.emit({"path": str(path), "folder": str(folder) if report["verdict"] == "failed" else None, **report})
    else:
        _show(report, path, folder)
    if report["verdict"] == "failed":
        raise ParityError(f"{path}: {report['node'] or 'no single node'}: {report['what']}")


def _show(report: Mapping[str, Any], path: Path, folder: Path) -> None:
    """Print the result, one finding a line."""
    click.echo(output.styled(f"bisect of {path}: {report['verdict']}", bold=True))
    if report["verdict"] == "passed":
        click.echo("every output is within its budget; there is nothing to find")
    if report["verdict"] == "ill-conditioned":
        click.echo("the model amplifies rounding too much to judge any value of the file")
    if report["verdict"] != "failed":
        return
    if report["node"] is None:
        click.echo(report["what"])
        return
    inside = f" inside {report['scan']}" if report["scan"] else ""
    lines = {
        "first wrong node": f"{report['node']} ({report['operator']}){inside}",
        "what differs": report["what"],
        "measured at": _place(report),
        "last good": report["last_good"],
        "others": "; ".join(f"{node['node']}: {node['what']}" for node in report["others"]),
        "piece": f"{folder / 'minimal.onnx'}; run it with: python {folder / 'reproduce.py'}",
    }
    for name, text in lines.items():
        if text:
            click.echo(f"{name:<18}{text}")


def _place(report: Mapping[str, Any]) -> str:
    """Return the wrong value, its first wrong step, and its error."""
    if report["budget"] is None:
        return f"{report['value']}: {report['reason']}"
    step = "" if report["step"] is None else f", step {report['step']} of sequence {report['row']}"
    by = "" if report["over_budget"] == float("inf") else f", {report['over_budget']:.3g} times its budget"
    return f"{report['value']}{step}: error {report['error']:.2e}{by}"
