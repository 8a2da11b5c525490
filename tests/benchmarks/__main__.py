"""Runs all benchmarks, or those named: ``python -m tests.benchmarks [export engine memory cells lowering proof …]``."""

from __future__ import annotations

import sys
import warnings

import torch

from tests.benchmarks import cache, cells, custom, engine, export, lowering, memory, precision, proof, tables
from zoo.versions import versions

BENCHMARKS = {
    "export": export.main,
    "engine": engine.main,
    "memory": memory.main,
    "cells": cells.main,
    "lowering": lowering.main,
    "custom": custom.main,
    "precision": precision.main,
    "proof": proof.main,
    "tables": tables.main,
    "cache": cache.main,
}


def main() -> None:
    warnings.simplefilter("ignore")  # torch's exporter issues many
    torch.set_num_threads(1)
    print(", ".join(f"{name} {version}" for name, version in versions().items()), "· 1 thread · ratio (quartiles)")
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
