"""Type of --out: a path that is valid on every file system and can be printed on one line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from zoo.data.datafile import name_fault
from zoo.errors import UsageError


class OutPath(click.Path):
    """Path to write to, as `pathlib.Path`; an invalid name is a usage error."""

    def __init__(self, *, dir_okay: bool = True) -> None:
        super().__init__(dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if fault := name_fault(Path(os.fsdecode(value))):
            raise UsageError(f"--out: {fault}")
        return super().convert(value, param, ctx)
