"""The matrix of `zoo.matrix` for the ten cells that stand for all: five that are an operator, five that are not."""

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
from zoo.matrix.prove import by_model, newest_opset, prove_points, report
from zoo.proof.prove import MODES
from zoo_onnx import OnnxExporter

SCANS = ("mgu", "layer_norm_lstm", "peephole_lstm", "lstmp", "clockwork")
"""The step's own product twice, three normalisations, weights without a product, an output narrower than the state, and
two states of different widths beside a counter."""
CELLS = (*KINDS, *SCANS)
SCHEMA_VERSION = 2


def subject(kind: str, hidden_size: int = HIDDEN_SIZE) -> Subject:
    """One of `tests.support.builders.ALL_KINDS`, as the operator that it is, or else as a Scan."""
    cell = ALL_KINDS[kind].cell
    return Subject.of(kind, layer_type(cell), config_type(cell), ALL_KINDS[kind].options, hidden_size=hidden_size)


@cache
def groups(kinds: tuple[str, ...], hidden_size: int, newest: int, *, full: bool) -> list[list[Point]]:
    """The points of a matrix that share a model; the sample is one over all the cells."""
    return by_model(draw_points([subject(kind, hidden_size) for kind in kinds], newest, full=full))


def prove(
    kinds: Sequence[str],
    providers: Sequence[str],
    *,
    full: bool,
    hidden_size: int = HIDDEN_SIZE,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> list[dict[str, Any]]:
    """The rows of the matrix of several cells.

    Args:
        kinds: of `tests.support.builders.ALL_KINDS`.
        providers: keys of `zoo.proof.prove.MODES`.
        full: all of it, or a sample that covers every pair of values of two dimensions, the cell among them.
        hidden_size: of the cells.
        jobs: processes, of one thread each; 1 for this one.
        progress: told how many models are done, and how many there are.
    """
    matrix = (tuple(kinds), hidden_size, newest_opset(OnnxExporter(), subject(next(iter(KINDS)))))
    tasks = [(*matrix, full, number, tuple(providers)) for number in range(len(groups(*matrix, full=full)))]
    if jobs == 1:
        return _gather(map(_work, tasks), len(tasks), progress)
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        return _gather(pool.map(_work, tasks), len(tasks), progress)


def _work(task: tuple[tuple[str, ...], int, int, bool, int, tuple[str, ...]]) -> list[dict[str, Any]]:
    """What one process does at a time: a model. Cells do not travel between processes, but their names do."""
    kinds, hidden_size, newest, full, number, providers = task
    points = groups(kinds, hidden_size, newest, full=full)[number]
    began = time.process_time()
    rows = list(prove_points(points, OnnxExporter(), [mode for one in providers for mode in MODES[one]]))
    return [{**row, "cpu_seconds": (time.process_time() - began) / len(rows)} for row in rows]


def _gather(
    found: Iterable[list[dict[str, Any]]], total: int, progress: Callable[[int, int], None]
) -> list[dict[str, Any]]:
    rows = []
    for number, some in enumerate(found, 1):
        rows += some
        progress(number, total)
    return rows


def reports(rows: Sequence[dict[str, Any]], *, full: bool) -> dict[str, dict[str, Any]]:
    """The report of each cell; its seconds are those of a CPU."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["cell"], []).append(row)
    return {
        cell: report(cell, some, sum(row["cpu_seconds"] for row in some), full=full) for cell, some in found.items()
    }
