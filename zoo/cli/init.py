"""``zoo init``: copy the starter specs into a folder."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from zoo.cli import output


@click.command("init")
@click.argument("folder", metavar="[DIR]", default="specs", type=click.Path(path_type=Path, file_okay=False))
@output.common_options
def command(folder: Path, as_json: bool) -> None:
    """Copy the starter specs into DIR, to run and to edit. Default: specs/.

    An existing file is never overwritten: a different file of the same name is an error.
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
