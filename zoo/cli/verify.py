"""``zoo verify``: verify an exported file on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from zoo.cli import output
from zoo.errors import ParityError


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--provider", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where to run.")
@click.option("--rejected", is_flag=True, help="Accept a file that did not pass its proof.")
@click.option("--expect", metavar="HASH", help="SHA-256 that FILE must have; the run's model card states it.")
@output.common_options
def command(file: Path, provider: str, rejected: bool, expect: str | None, as_json: bool) -> None:
    """Verify that FILE is undamaged and computes the expected outputs on this machine.

    Needs NumPy and ONNX Runtime only. Four checks: that FILE needs no other file; the seal, a hash over every byte,
    stored in FILE; the verdict of its proof; and the golden input that FILE contains, whose outputs must agree with the
    exact ones stored beside it.

    The four show damage and mistakes, not malice: a person who alters FILE can also renew the seal. With --expect, FILE
    must have the hash that you give; take it from a source that you trust, not from the place where FILE is from. A
    file with another hash is not run.

    Exit code: 0 verified, 4 not verified, 5 if the provider is unavailable.
    """
    from zoo.runtime.verify import verify

    report = verify(file, provider, rejected=rejected, expect=expect)
    if as_json:
        output.emit(report)
    else:
        _show(report)
    if report["reasons"]:
        raise ParityError(f"{file}: {'; '.join(report['reasons'])}")


def _show(report: Mapping[str, Any]) -> None:
    """Print the report in lines of 80 columns."""
    click.echo(output.styled(f"{report['path']}: {report['verdict']}", bold=True))
    for name, result in report["checks"].items():
        ok = result == "ok"
        mark = output.styled("ok", fg="green") if ok else f"{output.styled('FAILED', fg='red')}  {result}"
        click.echo(f"  {name:<14}{mark}")
    for name, note in report.get("notes", {}).items():
        click.echo(f"  {name:<14}{note}")
    for values in report.get("outputs", []):
        error = f"error {values['error']:.1e}, {values['over_budget']:.2f} of its budget"
        click.echo(f"  {values['name']:<14}{values['status']:<17}{error}")
    facts = ("name", "opset", "lowering", "precision", "steps", "takes")
    texts = [f"{name} {report[name]}" for name in facts if report.get(name, "float32") != "float32"]
    texts.append(f"{report['bytes']:,} bytes")
    click.echo(f"  {'file':<14}{', '.join(texts)}")
    click.echo(f"  {'sha256':<14}{report['sha256']}")
    if "nodes" in report:
        elsewhere = f"; not on {report['provider']}: {', '.join(report['elsewhere'])}" if report["elsewhere"] else ""
        click.echo(f"  {'nodes':<14}{output.node_counts(report['nodes'])}{elsewhere}")
        _show_versions(report["versions"])


def _show_versions(versions: Mapping[str, Mapping[str, str]]) -> None:
    """Print the versions that wrote the file beside those installed here."""
    click.echo(output.styled(f"  {'versions':<20}{'file':<16}here", dim=True))
    for name in dict.fromkeys((*versions["file"], *versions["here"])):
        writer, here = versions["file"].get(name, "-"), versions["here"].get(name, "-")
        click.echo(f"  {name:<20}{writer:<16}{'same' if writer == here else here}")
