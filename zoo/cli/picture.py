"""Option --out of the commands that draw a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from zoo.cli.out import OutPath
from zoo.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


def picture_option(*suffixes: str) -> Callable[[F], F]:
    """Return the option --out for a picture.

    Args:
        suffixes: the possible ends of the file's name; the first is the usual one.
    """
    names = " or ".join(suffix[1:].upper() for suffix in suffixes)

    def checked(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
        if value is not None and value.suffix not in suffixes:
            ends = " or ".join(suffixes)
            raise UsageError(f"--out {value}: the picture is a {names}; give a name that ends in {ends}")
        return value

    return click.option("--out", callback=checked, type=OutPath(dir_okay=False), help=f"{names} file of the picture.")


out_option = picture_option(".png")
