"""``zoo inspect``: an exported file in words."""

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
@click.option("--placement", is_flag=True, help="Say of each node whether CUDA takes it, without a GPU.")
@output.common_options
def command(target: Path | None, placement: bool, as_json: bool) -> None:
    """Say what is in TARGET, an exported file or a run that has one: versions, inputs, outputs, nodes, metadata.

    The latest run when none is named.
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
    """The file that is meant, and the exporter that knows such files."""
    if target is None or target.is_dir():
        from zoo.cli.target import run_or_latest
        from zoo.jobs.export import exported_files

        file = exported_files(run_or_latest(target), registry)[0]
        return file.path, file.exporter
    exporters = {exporter.suffix: exporter for exporter in registry.exporters.values()}
    if target.suffix not in exporters:
        raise UsageError(
            f"{target}: expected a run, or a file that ends in {' or '.join(exporters) or 'nothing known'}"
        )
    if not target.is_file():
        raise RunError(f"{target}: does not exist")
    return target, exporters[target.suffix]()


def _show(heading: str, rows: Collection[tuple[str, ...]]) -> None:
    """Rows in columns, each as wide as its longest text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    click.echo(output.styled(heading, bold=True))
    for row in rows:
        click.echo("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _show_placement(nodes: Sequence[PredictedNode], *, as_json: bool) -> None:
    """Where each node would run on CUDA; the reasons and their sources below, each once."""
    if as_json:
        output.emit({"target": "cuda", "nodes": [asdict(node) for node in nodes]})
        return
    _show("on CUDA", [(node.provider, node.operator, node.name, node.loop and f"in {node.loop}") for node in nodes])
    for (reason, source), count in Counter((node.reason, node.source) for node in nodes if node.reason).items():
        click.echo(f"{count} node{'s' if count > 1 else ''}: {reason}\n  {source}")
