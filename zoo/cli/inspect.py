"""``zoo inspect``: inputs, outputs, nodes and metadata of an exported file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import output
from zoo.errors import RunError, UsageError

if TYPE_CHECKING:
    from zoo.exporting.exporter import Exporter, PredictedNode
    from zoo.plugins.registry import Registry


@click.command("inspect")
@click.argument("target", required=False, type=click.Path(path_type=Path))
@click.option("--placement", is_flag=True, help="Predict for each node whether it runs on CUDA; needs no GPU.")
@output.common_options
def command(target: Path | None, placement: bool, as_json: bool) -> None:
    """Show versions, inputs, outputs, nodes and metadata of an exported file.

    TARGET is the file or a run that was exported. Default: the latest run.
    """
    registry = output.usable_plugins()
    file, exporter = _find(target, registry)
    if placement:
        _show_placement(exporter.placement(file), as_json=as_json)
        return
    summary = exporter.inspect(file)
    if as_json:
        output.emit(asdict(summary))
        return
    _show("file", summary.facts.items())
    _show("inputs", summary.inputs.items())
    _show("outputs", summary.outputs.items())
    _show("nodes", summary.nodes)
    _show("metadata", summary.metadata.items())


def _find(target: Path | None, registry: Registry) -> tuple[Path, Exporter]:
    """Return the file that the target stands for, and the exporter of its format."""
    if target is None or target.is_dir():
        from zoo.cli.target import run_or_latest
        from zoo.jobs.exported import exported_files

        file = exported_files(run_or_latest(target), registry)[0]
        return file.path, file.exporter
    exporters = {exporter.suffix: exporter for exporter in registry.exporters.values()}
    if target.suffix not in exporters:
        raise UsageError(
            f"{target}: expected a run, or a file that ends in {' or '.join(exporters) or 'no installed format'}"
        )
    if not target.is_file():
        raise RunError(f"{target}: does not exist")
    return target, exporters[target.suffix]()


def _show(heading: str, rows: Collection[tuple[str, ...]]) -> None:
    """Print a heading and rows below it, each column as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    click.echo(output.styled(heading, bold=True))
    for row in rows:
        click.echo("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _show_placement(nodes: Sequence[PredictedNode], *, as_json: bool) -> None:
    """Print where each node would run on CUDA, then each reason for another provider, with its source."""
    if as_json:
        output.emit({"target": "cuda", "nodes": [asdict(node) for node in nodes]})
        return
    _show("on CUDA", [(node.provider, node.operator, node.name, node.loop and f"in {node.loop}") for node in nodes])
    for (reason, source), count in Counter((node.reason, node.source) for node in nodes if node.reason).items():
        click.echo(f"{count} node{'s' if count > 1 else ''}: {reason}\n  {source}")
