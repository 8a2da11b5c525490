"""Option --out of the commands that draw a picture."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli.out import OutPath
from zoo.errors import UsageError


def _png(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and value.suffix != ".png":
        raise UsageError(f"--out {value}: the picture is a PNG; give a name that ends in .png")
    return value


out_option = click.option("--out", callback=_png, type=OutPath(dir_okay=False), help="PNG file of the picture.")
