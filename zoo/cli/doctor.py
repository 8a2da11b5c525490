"""``zoo doctor``: versions, devices and providers of this machine, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from zoo.cli import output


@click.command("doctor")
@output.common_options
def command(as_json: bool) -> None:
    """Show versions, devices, providers and faults of this installation. Exit code 1 if there is a fault."""
    from zoo.jobs.doctor import examine
    from zoo.plugins.registry import load_registry

    report = examine(load_registry())
    if as_json:
        output.emit(report)
    else:
        for heading in ("versions", "machine", "providers"):
            click.echo(output.styled(heading, bold=True))
            for name, text in report[heading].items():
                prefix = "unavailable: " if heading == "providers" and text != "ready" else ""
                click.echo(f"  {name:<20}{prefix}{text}")
        _show_cuda(report["cuda"])
        click.echo(output.styled("torch devices", bold=True))
        click.echo(f"  {', '.join(report['torch_devices'])}")
        click.echo(output.styled("faults", bold=True))
        for fault in report["faults"] or ["none"]:
            click.echo(f"  {fault}")
    if report["faults"]:
        raise click.exceptions.Exit(1)


def _show_cuda(cuda: Mapping[str, Any]) -> None:
    """Print the CUDA versions, the missing libraries with the packages that contain them, and the remedies."""
    click.echo(output.styled("cuda", bold=True))
    click.echo(f"  {'onnxruntime for':<20}{cuda['onnxruntime_for'] or 'no CUDA'}")
    click.echo(f"  {'torch for':<20}{cuda['torch_for'] or 'no CUDA'}")
    click.echo(f"  {'cuDNN of torch':<20}{cuda['torch_cudnn'] or 'none'}")
    click.echo(f"  {'TF32 override':<20}{_override(cuda['NVIDIA_TF32_OVERRIDE'])}")
    for number, (library, package) in enumerate(cuda["missing"].items()):
        click.echo(f"  {'' if number else 'missing':<20}{library:<22}{package}")
    for number, remedy in enumerate(cuda["remedies"]):
        click.echo(f"  {'' if number else 'CUDA would need':<20}{remedy}")


def _override(value: str | None) -> str:
    """Return the value of NVIDIA_TF32_OVERRIDE in words; 0 disables TF32 in NVIDIA's libraries for every program."""
    return "not set" if value is None else f"NVIDIA_TF32_OVERRIDE={value}{': no TF32 anywhere' if value == '0' else ''}"
