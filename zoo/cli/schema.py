"""``zoo schema``: print the JSON Schema of a spec."""

from __future__ import annotations

import json

import click

from zoo.cli import output


@click.command("schema")
@output.common_options
def command(as_json: bool) -> None:
    """Print the JSON Schema (draft 7) of a spec, including the fields of the installed plugins.

    For VS Code with the YAML extension, run "zoo schema > zoo.schema.json" and begin the spec with the line
    "# yaml-language-server: $schema=zoo.schema.json".
    """
    from zoo.spec.spec import SpecReader

    schema = SpecReader.of(output.usable_plugins()).json_schema()
    if as_json:
        output.emit({"schema": schema})
    else:
        click.echo(json.dumps(schema, indent=2, ensure_ascii=False))
