"""``zoo schema``: the JSON Schema of a spec."""

from __future__ import annotations

import json

import click

from zoo.cli import output


@click.command("schema")
@output.common_options
def command(as_json: bool) -> None:
    """Print the JSON Schema (draft 7) of a spec, composed from the installed plugins.

    In VS Code with the YAML extension: zoo schema > zoo.schema.json, and as the first line of a spec
    "# yaml-language-server: $schema=zoo.schema.json".
    """
    from zoo.spec.spec import SpecReader

    schema = SpecReader.of(output.usable_plugins()).json_schema()
    if as_json:
        output.emit({"schema": schema})
    else:
        click.echo(json.dumps(schema, indent=2, ensure_ascii=False))
