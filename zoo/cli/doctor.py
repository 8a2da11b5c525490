"""``zoo doctor``: this machine, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from zoo.cli import output


@click.command("doctor")
@output.common_options
def command(as_json: bool) -> None:
    """Say which versions, devices and providers there are, and what is wrong. Exit code 1 where something is."""
    from zoo.jobs.doctor import examine
    from zoo.plugins.registry import load_registry

    found = examine(load_registry())
    if as_json:
        output.emit(found)
    else:
        words = {name: text if text == "ready" else f"unavailable: {text}" for name, text in found["providers"].items()}
        for heading, rows in (("versions", found["versions"]), ("machine", found["machine"]), ("providers", words)):
            click.echo(output.styled(heading, bold=True))
            for name, text in rows.items():
                click.echo(f"  {name:<20}{text}")
        _show_cuda(found["cuda"])
        click.echo(output.styled("torch devices", bold=True))
        click.echo(f"  {', '.join(found['torch_devices'])}")
        click.echo(output.styled("faults", bold=True))
        for fault in found["faults"] or ["none"]:
            click.echo(f"  {fault}")
    if found["faults"]:
        raise click.exceptions.Exit(1)


def _show_cuda(cuda: Mapping[str, Any]) -> None:
    """What there is of CUDA and what is missing, a library a line, and how to come by that."""
    click.echo(output.styled("cuda", bold=True))
    click.echo(f"  {'onnxruntime for':<20}{cuda['onnxruntime_for'] or 'no CUDA'}")
    click.echo(f"  {'torch for':<20}{cuda['torch_for'] or 'no CUDA'}")
    click.echo(f"  {'cuDNN of torch':<20}{cuda['torch_cudnn'] or 'none'}")
    click.echo(f"  {'TF32 override':<20}{_override(cuda['NVIDIA_TF32_OVERRIDE'])}")
    for number, (library, bringer) in enumerate(cuda["missing"].items()):
        click.echo(f"  {'' if number else 'missing':<20}{library:<22}{bringer}")
    for number, remedy in enumerate(cuda["remedies"]):
        click.echo(f"  {'' if number else 'CUDA would need':<20}{remedy}")


def _override(value: str | None) -> str:
    """What NVIDIA_TF32_OVERRIDE says; 0 keeps NVIDIA's libraries from TF32, whatever a program asks for."""
    return "not set" if value is None else f"NVIDIA_TF32_OVERRIDE={value}{': no TF32 anywhere' if value == '0' else ''}"
