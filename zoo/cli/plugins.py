"""``zoo plugins``: installed plugins and their faults."""

from __future__ import annotations

import click

from zoo.cli import output
from zoo.entry_points import entry_points
from zoo.errors import PluginError


@click.command("plugins")
@output.common_options
def command(as_json: bool) -> None:
    """Import every plugin, and list what it provides and what is wrong with it. Exit code 6 if a plugin has a fault."""
    from zoo.plugins.registry import load_registry

    registry = load_registry()
    provided = [
        {"kind": key.partition(".")[0], "name": key.partition(".")[2], "plugin": origin}
        for key, origin in registry.origins.items()
    ]
    if as_json:
        points = [{"name": p.name, "module": p.value, "plugin": p.distribution} for p in entry_points()]
        output.emit({"entry_points": points, "brings": provided, "faults": registry.faults})
    else:
        for item in provided:
            click.echo(f"{item['kind']:<14}{item['name']:<20}{item['plugin']}")
    for fault in registry.faults:
        output.print_error(fault)
    if registry.faults:
        raise click.exceptions.Exit(PluginError.exit_code)
