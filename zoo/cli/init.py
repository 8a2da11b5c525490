"""``zoo init``: specs to start with."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from zoo.cli import output


@click.command("init")
@click.argument("folder", metavar="[DIR]", default="specs", type=click.Path(path_type=Path, file_okay=False))
@output.common_options
def command(folder: Path, as_json: bool) -> None:
    """Write the starter specs to DIR, which is specs/ when left out, to run and to change.

    A file that exists is never overwritten: another one of the same name is refused.
    """
    from zoo.spec.starter import write_starter_specs

    written = write_starter_specs(folder)
    if as_json:
        output.emit({"folder": str(folder), "specs": [str(path) for path in written]})
        return
    for path in written:
        click.echo(path)
    first = next((path for path in written if path.stem == "bilstm"), folder / "SPEC")
    click.echo(f"next: zoo build {shlex.quote(str(first))}", err=True)
