"""``zoo list``: what can be used, read from the entry points alone."""

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
@click.option("--long", is_flag=True, help="Say what each one is; this imports the plugins.")
@output.common_options
def command(long: bool, as_json: bool) -> None:
    """List architectures, data, tasks, exporters and specs, each with the plugin that brings it."""
    words = _descriptions() if long else {}
    found: dict[str, list[dict[str, str]]] = {}
    for point in entry_points():
        entry = {"name": point.label, "plugin": point.distribution}
        if text := words.get((point.kind, point.label)):
            entry["description"] = text
        found.setdefault(HEADINGS[point.kind], []).append(entry)
    found["specs"] = _specs()
    if as_json:
        output.emit(found)
        return
    for heading, entries in found.items():
        if entries:
            click.echo(output.styled(heading, bold=True))
        for entry in entries:
            rest = entry.get("description") or entry.get("plugin", "")
            click.echo(f"  {entry['name']:<20}{rest}".rstrip())


def _specs() -> list[dict[str, str]]:
    """The starter specs by name, and then the files of specs/ here; in a clone most are the same files."""
    starters = starter_specs()
    named = [{"name": name, "description": "starter spec", "path": str(path)} for name, path in starters.items()]
    known = {path.resolve() for path in starters.values()}
    here = [path for path in sorted(Path("specs").rglob("*.yaml")) if path.resolve() not in known]
    return [*named, *({"name": str(path), "path": str(path)} for path in here)]


def _descriptions() -> dict[tuple[str, str], str]:
    """The first line of what each thing says of itself."""
    registry = output.usable_plugins()
    kinds: dict[str, Mapping[str, type[object]]] = {
        "architecture": {name: one.layer for name, one in registry.architectures.items()},
        "data": registry.data,
        "task": registry.tasks,
        "exporter": registry.exporters,
    }
    return {
        (kind, name): (thing.__doc__ or "").strip().partition("\n")[0]
        for kind, things in kinds.items()
        for name, thing in things.items()
    }
