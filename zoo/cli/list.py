"""``zoo list``: everything that a spec can name, read from the entry points alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from zoo.cli import output
from zoo.entry_points import entry_points
from zoo.spec.starter import starter_specs

HEADINGS = {
    "architecture": "architectures",
    "data": "data",
    "task": "tasks",
    "exporter": "exporters",
    "observer": "observers",
}


@click.command("list")
@click.option("--long", is_flag=True, help="Describe each; this imports the plugins.")
@output.common_options
def command(long: bool, as_json: bool) -> None:
    """List architectures, data sources, tasks, exporters and specs, each with the plugin that provides it."""
    descriptions = _descriptions() if long else {}
    listed: dict[str, list[dict[str, str]]] = {}
    for point in entry_points():
        entry = {"name": point.label, "plugin": point.distribution}
        if text := descriptions.get((point.kind, point.label)):
            entry["description"] = text
        listed.setdefault(HEADINGS[point.kind], []).append(entry)
    listed["specs"] = _specs()
    if as_json:
        output.emit(listed)
        return
    for heading, entries in listed.items():
        if entries:
            click.echo(output.styled(heading, bold=True))
        for entry in entries:
            rest = entry.get("description") or entry.get("plugin", "")
            click.echo(f"  {entry['name']:<20}{rest}".rstrip())


def _specs() -> list[dict[str, str]]:
    """Return the starter specs by name, then the other files of ./specs; in a clone most of these are the starters."""
    starters = starter_specs()
    named = [{"name": name, "description": "starter spec", "path": str(path)} for name, path in starters.items()]
    resolved = {path.resolve() for path in starters.values()}
    here = [path for path in sorted(Path("specs").rglob("*.yaml")) if path.resolve() not in resolved]
    return [*named, *({"name": str(path), "path": str(path)} for path in here)]


def _descriptions() -> dict[tuple[str, str], str]:
    """Return the first line of each docstring, by (kind, name)."""
    registry = output.usable_plugins()
    kinds: dict[str, Mapping[str, type[object]]] = {
        "architecture": {name: architecture.layer for name, architecture in registry.architectures.items()},
        "data": registry.data,
        "task": registry.tasks,
        "exporter": registry.exporters,
    }
    return {
        (kind, name): (implementation.__doc__ or "").strip().partition("\n")[0]
        for kind, implementations in kinds.items()
        for name, implementation in implementations.items()
    }
