"""Prove the whole matrix on this machine's GPU and write the evidence down.

Run it where ONNX Runtime can use CUDA and the package is installed::

    python -m tests.gpu.record --out tests/gpu/evidence/2026-01-31.json

Leaves with 5 where CUDA cannot run, and with 4 where a case does not pass; the file then tells which.
"""

from __future__ import annotations

import platform
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from tests.matrix import CASES, Case
from zoo.cases import SHAPES
from zoo.files import write_json
from zoo.providers import unavailable
from zoo.versions import versions

HIDDEN_SIZE = 64
"""Wide enough for the kernels that a GPU runs in practice, tensor cores among them."""
SCHEMA_VERSION = 1


def record(cases: Iterable[Case], providers: Sequence[str], tell: Callable[[str], None]) -> dict[str, Any]:
    """Prove the cases and describe the machine; ready for JSON."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            report = case.prove(Path(folder), providers, HIDDEN_SIZE)
            tell(f"{case}: {report['verdict']} {'; '.join(report['reasons'])}".rstrip())
            results.append({**asdict(case), "verdict": report["verdict"], "providers": report["providers"]})
    return {
        "schema_version": SCHEMA_VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"system": platform.platform(), "gpu": gpus()},
        "versions": versions(),
        "hidden_size": HIDDEN_SIZE,
        "shapes": [{"batch": batch, "time": time} for batch, time in SHAPES],
        "verdicts": dict(Counter(result["verdict"] for result in results)),
        "cases": results,
    }


def gpus() -> list[str]:
    """Name, driver and memory of each GPU, as the driver's own tool tells them."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip().splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []


@click.command(help=__doc__)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file to write.")
def main(out: Path) -> None:
    if reason := unavailable("cuda"):
        click.echo(f"cuda: unavailable: {reason}", err=True)
        raise click.exceptions.Exit(5)
    evidence = record(CASES, ["cpu", "cuda"], lambda line: click.echo(line, err=True))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out, evidence)
    click.echo(f"{out}: {evidence['verdicts']}")
    if set(evidence["verdicts"]) != {"passed"}:
        raise click.exceptions.Exit(4)


if __name__ == "__main__":
    main()
