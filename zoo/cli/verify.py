"""``zoo verify``: whether this machine computes what an exported file says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from zoo.cli import output
from zoo.errors import ParityError


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--provider", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Run it there.")
@click.option("--rejected", is_flag=True, help="Take a file too whose proof did not pass.")
@output.common_options
def command(file: Path, provider: str, rejected: bool, as_json: bool) -> None:
    """Say whether FILE is as it was written, and gives here what it must. Needs neither torch nor onnx nor the run.

    It checks the seal over every byte, that no other file is needed, the verdict of the file's proof, and the golden
    input that the file carries, whose exact output it knows. Exit code 0 verified, 4 not, 5 where the provider cannot
    run.
    """
    from zoo.runtime.verify import verify

    report = verify(file, provider, rejected=rejected)
    if as_json:
        output.emit(report)
    else:
        _show(report)
    if report["reasons"]:
        raise ParityError(f"{file}: {'; '.join(report['reasons'])}")


def _show(report: Mapping[str, Any]) -> None:
    """Everything in lines of 80 columns."""
    click.echo(output.styled(f"{report['path']}: {report['verdict']}", bold=True))
    for name, said in report["checks"].items():
        mark = output.styled("ok", fg="green") if said == "ok" else output.styled("FAILED", fg="red")
        click.echo(f"  {name:<15}{mark}{'' if said == 'ok' else f'  {said}'}")
    for name, said in report.get("notes", {}).items():
        click.echo(f"  {name:<15}{said}")
    for one in report.get("outputs", []):
        share = f"{one['over_budget']:.2f} of its budget"
        click.echo(f"  {one['name']:<15}{one['status']:<17}error {one['error']:.1e}, {share}")
    facts = ("name", "opset", "lowering", "precision", "steps", "takes")
    said = ", ".join(f"{name} {report[name]}" for name in facts if report.get(name, "float32") != "float32")
    click.echo(f"  {'file':<15}{said}{', ' if said else ''}{report['bytes']:,} bytes")
    if "nodes" in report:
        nodes = [f"{count} on {name.removesuffix('ExecutionProvider')}" for name, count in report["nodes"].items()]
        elsewhere = f"; not on {report['provider']}: {', '.join(report['elsewhere'])}" if report["elsewhere"] else ""
        click.echo(f"  {'nodes':<15}{', '.join(nodes)}{elsewhere}")
        _show_versions(report["versions"])


def _show_versions(found: Mapping[str, Mapping[str, str]]) -> None:
    """Those that wrote the file beside those here; where they are the same, once."""
    click.echo(output.styled(f"  {'versions':<20}{'file':<16}here", dim=True))
    for name in dict.fromkeys((*found["file"], *found["here"])):
        wrote, here = found["file"].get(name, "-"), found["here"].get(name, "-")
        click.echo(f"  {name:<20}{wrote:<16}{'same' if wrote == here else here}")
