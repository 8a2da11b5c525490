"""``zoo doctor``: this machine, and what is missing."""

from __future__ import annotations

import click

from zoo.cli import output


@click.command("doctor")
@output.common_options
def command(as_json: bool) -> None:
    """Say which versions, devices and providers there are, and what is wrong. Exit code 1 where something is."""
    from zoo.doctor import examine
    from zoo.plugins import load_registry

    found = examine(load_registry())
    if as_json:
        output.emit(found)
    else:
        words = {name: text if text == "ready" else f"unavailable: {text}" for name, text in found["providers"].items()}
        for heading, rows in (("versions", found["versions"]), ("machine", found["machine"]), ("providers", words)):
            click.echo(output.styled(heading, bold=True))
            for name, text in rows.items():
                click.echo(f"  {name:<20}{text}")
        click.echo(output.styled("torch devices", bold=True))
        click.echo(f"  {', '.join(found['torch_devices'])}")
        click.echo(output.styled("faults", bold=True))
        for fault in found["faults"] or ["none"]:
            click.echo(f"  {fault}")
    if found["faults"]:
        raise click.exceptions.Exit(1)
