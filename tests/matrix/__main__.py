"""Prove the matrix of ten cells, or of some of them, on the CPU, and print a line for each.

``python -m tests.matrix [--full] [--out FILE] [--jobs N] [CELL…]``
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click

from tests.matrix.ten_cells import CELLS, SCHEMA_VERSION, prove, reports
from tests.support.builders import ALL_KINDS
from zoo.cli.columns import show_table
from zoo.cli.matrix import describe
from zoo.cli.output import spinner
from zoo.files import write_json
from zoo.matrix.prove import STATUSES


@click.command(help=__doc__)
@click.argument("cells", nargs=-1, type=click.Choice(list(ALL_KINDS)))
@click.option("--full", is_flag=True, help="All of it; a covering sample otherwise.")
@click.option("--out", type=click.Path(path_type=Path), help="A JSON file for the report of each cell.")
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True, type=click.IntRange(1), help="Processes.")
def main(cells: tuple[str, ...], full: bool, out: Path | None, jobs: int) -> None:
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # inherited by the worker processes
    began = time.monotonic()
    with spinner("matrix") as progress:

        def move(done: int, total: int) -> None:
            progress(f"{done:,} of {total:,} models", done / total)

        rows = prove(cells or CELLS, ["cpu"], full=full, jobs=jobs, progress=move)
    by_cell = reports(rows, full=full)
    seconds = time.monotonic() - began
    if out is not None:
        write_json(out, {"schema_version": SCHEMA_VERSION, "seconds": seconds, "cells": by_cell})
    table = []
    for cell, report in by_cell.items():
        counts = [f"{count:,}" for count in report["counts"].values()]
        table.append((cell, *counts, f"{report['worst']:.2f}", f"{report['seconds']:,.0f}"))
    show_table(("cell", *STATUSES, "worst", "CPU seconds"), table)
    click.echo(f"{len(rows):,} points in {seconds:,.0f} s, {jobs} processes", err=True)
    failed = [row for row in rows if row["status"] == "failed"]
    for row in failed:
        click.echo(f"failed: {row['cell']}, {describe(row)}: {row['reason']}")
    if failed:
        sys.exit(4)


if __name__ == "__main__":
    main()
