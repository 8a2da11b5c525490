"""Prove the matrix on this machine's GPU and record the evidence.

Requires ONNX Runtime with CUDA, and the installed package::

    python -m tests.gpu.record --out tests/gpu/evidence/2026-01-31.json [--full] [--jobs N]

Exits with 5 if CUDA cannot run, and with 4 if a point fails; the file then contains the failed points.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tests.matrix.ten_cells import CELLS, prove
from zoo.files import write_json
from zoo.runtime.providers import unavailable
from zoo.versions import versions

HIDDEN_SIZE = 64
"""Wide enough for the kernels that GPUs use in practice, tensor cores included."""
SCHEMA_VERSION = 2


def record(
    cells: Sequence[str],
    providers: Sequence[str],
    *,
    full: bool,
    jobs: int = 1,
    hidden_size: int = HIDDEN_SIZE,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> dict[str, Any]:
    """Prove the matrix of some cells and return the evidence, ready for JSON.

    With ``full`` only the rows that did not pass are kept, since the whole matrix has about a hundred thousand rows; of
    a sample all rows are kept.

    Args:
        cells: names in `tests.matrix.ten_cells.CELLS`.
        providers: ``cpu``, ``cuda``.
        full: the whole matrix in place of a covering sample.
        jobs: number of processes.
        hidden_size: of every model.
        progress: called after each model with the number of finished and of all models.
    """
    rows = prove(cells, providers, full=full, hidden_size=hidden_size, jobs=jobs, progress=progress)
    modes = dict.fromkeys(row["mode"] for row in rows if row["mode"] is not None)
    return {
        "schema_version": SCHEMA_VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"system": platform.platform(), "gpu": gpus()},
        "versions": versions(),
        "hidden_size": hidden_size,
        "full": full,
        "cells": {
            cell: {
                mode: _summary([row for row in rows if (row["cell"], row["mode"]) == (cell, mode)]) for mode in modes
            }
            for cell in cells
        },
        "rows": [row for row in rows if not full or row["status"] not in ("passed", "refused")],
    }


def _summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Number of rows by status, largest error in units of its budget, and operators placed on another provider."""
    return {
        "counts": dict(Counter(row["status"] for row in rows)),
        "worst": max((row["over_budget"] for row in rows if row["status"] == "passed"), default=0.0),
        "elsewhere": sorted({operator for row in rows for operator in row["elsewhere"]}),
    }


def gpus() -> list[str]:
    """Name, driver version and memory of each GPU, as nvidia-smi reports them."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip().splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []


@click.command(help=__doc__)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.option("--full", is_flag=True, help="Prove the whole matrix in place of a covering sample.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes that share the GPU.")
def main(out: Path, full: bool, jobs: int) -> None:
    if reason := unavailable("cuda"):
        click.echo(f"cuda: unavailable: {reason}", err=True)
        raise click.exceptions.Exit(5)
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # inherited by the worker processes

    def show_progress(done: int, total: int) -> None:
        click.echo(f"{done} of {total} models", err=True)

    evidence = record(CELLS, ["cpu", "cuda"], full=full, jobs=jobs, progress=show_progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, evidence)
    failed = [row for row in evidence["rows"] if row["status"] == "failed"]
    click.echo(f"{out}: {len(failed)} failed")
    if failed:
        raise click.exceptions.Exit(4)


if __name__ == "__main__":
    main()
