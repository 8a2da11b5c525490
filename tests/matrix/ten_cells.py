"""The matrix of ten representative cells: five native operators and five Scans."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any

import torch

from tests.support.builders import ALL_KINDS, KINDS, config_type, layer_type
from zoo.matrix.points import HIDDEN_SIZE, Point, Subject, draw_points
from zoo.matrix.prove import group_by_variant, newest_opset, prove_points, report
from zoo.proof.prove import MODES
from zoo_onnx import OnnxExporter

SCANS = ("mgu", "layer_norm_lstm", "peephole_lstm", "lstmp", "clockwork")
"""In this order: two products in a step; three normalisations; weights without a product; an output narrower than the
state; two states of different widths with a counter."""
CELLS = (*KINDS, *SCANS)
SCHEMA_VERSION = 2


def subject(kind: str, hidden_size: int = HIDDEN_SIZE) -> Subject:
    """Return a cell of `tests.support.builders.ALL_KINDS`, native where it equals an operator and a Scan otherwise."""
    cell = ALL_KINDS[kind].cell
    return Subject.of(kind, layer_type(cell), config_type(cell), ALL_KINDS[kind].options, hidden_size=hidden_size)


@cache
def groups(kinds: tuple[str, ...], hidden_size: int, newest: int, *, full: bool) -> list[list[Point]]:
    """Return the points of a matrix in groups that share a model; a sample covers all cells together."""
    return group_by_variant(draw_points([subject(kind, hidden_size) for kind in kinds], newest, full=full))


def prove(
    kinds: Sequence[str],
    providers: Sequence[str],
    *,
    full: bool,
    hidden_size: int = HIDDEN_SIZE,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> list[dict[str, Any]]:
    """Return the rows of the matrix of several cells.

    Args:
        kinds: keys of `tests.support.builders.ALL_KINDS`.
        providers: keys of `zoo.proof.prove.MODES`.
        full: whether to prove all settings; otherwise a sample that covers every pair of values of two settings.
        hidden_size: that of the cells.
        jobs: number of processes with one thread each; 1 for the current process.
        progress: called after each model with the number of finished and of all models.
    """
    matrix = (tuple(kinds), hidden_size, newest_opset(OnnxExporter(), subject(next(iter(KINDS)))))
    tasks = [(*matrix, full, number, tuple(providers)) for number in range(len(groups(*matrix, full=full)))]
    if jobs == 1:
        return _collect(map(_work, tasks), len(tasks), progress)
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        return _collect(pool.map(_work, tasks), len(tasks), progress)


def _work(task: tuple[tuple[str, ...], int, int, bool, int, tuple[str, ...]]) -> list[dict[str, Any]]:
    """Prove the points of one model; the task contains names of cells, which each process builds itself."""
    kinds, hidden_size, newest, full, number, providers = task
    points = groups(kinds, hidden_size, newest, full=full)[number]
    began = time.process_time()
    rows = list(prove_points(points, OnnxExporter(), [mode for provider in providers for mode in MODES[provider]]))
    return [{**row, "cpu_seconds": (time.process_time() - began) / len(rows)} for row in rows]


def _collect(
    results: Iterable[list[dict[str, Any]]], total: int, progress: Callable[[int, int], None]
) -> list[dict[str, Any]]:
    rows = []
    for number, result in enumerate(results, 1):
        rows += result
        progress(number, total)
    return rows


def reports(rows: Sequence[dict[str, Any]], *, full: bool) -> dict[str, dict[str, Any]]:
    """Return the report of each cell; its seconds are CPU time."""
    by_cell: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_cell.setdefault(row["cell"], []).append(row)
    return {cell: report(cell, own, sum(row["cpu_seconds"] for row in own), full=full) for cell, own in by_cell.items()}
