"""Plain-text tables, the same on a terminal, in a file and in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import click

from zoo.cli import output

GAP = "  "


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> None:
    """Print rows below their headings, each column as wide as its widest line.

    Args:
        headings: one for each column; a heading, like any cell, may have several lines.
        rows: the cells of each row.
        texts: how many leading columns contain text and are left-aligned; numbers are right-aligned.
    """
    lines = [[cell.split("\n") for cell in row] for row in (headings, *rows)]
    widths = [max(len(line) for cell in column for line in cell) for column in zip(*lines, strict=True)]
    for number, row in enumerate(lines):
        for parts in zip_longest(*row, fillvalue=""):
            placed = [
                part.ljust(width) if index < texts else part.rjust(width)
                for index, (part, width) in enumerate(zip(parts, widths, strict=True))
            ]
            line = GAP.join(placed).rstrip()
            click.echo(output.styled(line, bold=True) if number == 0 else line)
