"""The proof of the matrix: a cell in every direction, depth and shape, with every kind of lengths and states.

`zoo.matrix.points` defines the settings. Each `Variant` gives one model, each opset one file of it. The exact results
are computed once for all opsets. Each file is judged by the rule of `zoo.parity`.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import DataError, RunError, UsageError, ZooError
from zoo.exporting.exporter import Exporter, ExportOptions
from zoo.matrix.points import OPSETS, Point, Subject, Variant, draw_points, left_out
from zoo.nn.cell_checks import check_cells
from zoo.nn.model import Model
from zoo.parity import Array, distinguishable, judge
from zoo.proof.cases import torch_outputs
from zoo.proof.expectations import Expectations
from zoo.proof.outcomes import SAME, cell_hint, overall
from zoo.proof.prove import Mode
from zoo.runtime.providers import PROVIDERS
from zoo.runtime.session import OnnxSession
from zoo.versions import versions

SCHEMA_VERSION = 1
STATUSES = ("passed", "failed", "ill-conditioned", "inconclusive", "refused")
LATEST = 64
"""Upper bound of the search for the newest opset."""

Row = dict[str, Any]
"""Settings of a point, with its result in ``mode``, ``status``, ``over_budget``, ``reason`` and ``elsewhere``."""


def matrix(
    subject: Subject,
    exporter: Exporter,
    modes: Sequence[Mode],
    progress: Callable[[int, int], None],
    *,
    full: bool,
    quick: bool = False,
) -> dict[str, Any]:
    """Prove one cell in all its settings, or in a sample that covers every pair of them.

    Args:
        subject: the cell.
        exporter: writes the files.
        modes: how to run them, on providers that are available.
        progress: called at the start and after each model with the number of finished and of all points.
        full: whether to prove all settings.
        quick: whether the sample omits long inputs, and the opsets between the first and the newest.

    Returns:
        The report; see `report`. ``left_out`` lists the omissions.

    Raises:
        CellError: where the cell violates the contract of `zoo.Cell`.
    """
    began = time.monotonic()
    check_cells(draw_points([subject], max(OPSETS), full=False)[0].variant.model().layers())
    newest = newest_opset(exporter, subject)
    points = draw_points([subject], newest, full=full, quick=quick)
    rows: list[Row] = []
    done = 0
    progress(done, len(points))
    for group in group_by_variant(points):
        rows += prove_points(group, exporter, modes)
        done += len(group)
        progress(done, len(points))
    values = report(subject.name, rows, time.monotonic() - began, full=full)
    return values | {"quick": quick, "left_out": left_out(subject, newest, quick=quick)}


def report(architecture: str, rows: Sequence[Row], seconds: float, *, full: bool) -> dict[str, Any]:
    """Return the report of all rows, ready for JSON.

    ``counts`` has the number of rows of each status. *Refused* is an export that was refused as required. An export
    that was refused without need, or written where it must be refused, is *failed*. *Ill-conditioned* is neither passed
    nor failed: such a model permits no verdict. Nor is *inconclusive*: the outputs for another input would pass as
    well. ``worst`` is the largest error of the rows that passed, in units of its budget.
    """
    counts = Counter(row["status"] for row in rows)
    return {
        "schema_version": SCHEMA_VERSION,
        "architecture": architecture,
        "full": full,
        "counts": {status: counts[status] for status in STATUSES},
        "worst": max((row["over_budget"] for row in rows if row["status"] == "passed"), default=0.0),
        "seconds": seconds,
        "rows": list(rows),
        "versions": versions(),
    }


def newest_opset(exporter: Exporter, subject: Subject) -> int:
    """Return the newest opset that an exporter writes here, by trying opsets in descending order."""
    variant = draw_points([subject], max(OPSETS), full=False)[0].variant
    model = variant.model()
    with tempfile.TemporaryDirectory() as folder:
        for opset in range(LATEST, max(OPSETS), -1):
            try:
                exporter.export(model, Path(folder) / f"probe{exporter.suffix}", {}, _options(variant, opset))
            except UsageError:
                continue
            return opset
    return max(OPSETS)


def group_by_variant(points: Sequence[Point]) -> list[list[Point]]:
    """Return the points in groups that share a model, and thus the exact results."""
    groups: dict[Variant, list[Point]] = {}
    for point in points:
        groups.setdefault(point.variant, []).append(point)
    return list(groups.values())


def prove_points(points: Sequence[Point], exporter: Exporter, modes: Sequence[Mode]) -> Iterator[Row]:
    """Prove points of one variant: yield a row for each point and mode, or one row where the export must be refused."""
    variant = points[0].variant
    model = variant.model()
    inputs = list(dict.fromkeys((point.lengths, point.shape) for point in points if point.shape is not None))
    case_of = {point: inputs.index((point.lengths, point.shape)) for point in points if point.shape is not None}
    expectations = Expectations(model, [variant.case(model, lengths, shape) for lengths, shape in inputs])
    others = [torch_outputs(model, variant.with_other_input(case)) for case in expectations.cases]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{exporter.suffix}"
        for point in points:
            if point.shape is None:
                yield _check_refusal(point, model, exporter, path)
        for opset in sorted({point.opset for point in case_of}):
            of_file = {point: index for point, index in case_of.items() if point.opset == opset}
            try:
                exporter.export(model, path, {}, _options(variant, opset))
                fault = "; ".join(exporter.faults(path))
            except ZooError as error:
                fault = str(error)
            if fault:
                yield from (_row(point, None, "failed", float("inf"), fault) for point in of_file)
                continue
            for mode in modes:
                yield from _prove_file(path, mode, of_file, expectations, others)


def _check_refusal(point: Point, model: Model, exporter: Exporter, path: Path) -> Row:
    """Check that an export is refused for its opset, with an error that is meant for the user."""
    try:
        exporter.export(model, path, {}, _options(point.variant, point.opset))
    except UsageError as error:
        return _row(point, None, "refused", 0.0, str(error))
    except ZooError as error:
        return _row(point, None, "failed", float("inf"), str(error))
    return _row(point, None, "failed", float("inf"), f"opset {point.opset} must be refused, and was written")


def _options(variant: Variant, opset: int) -> ExportOptions:
    return ExportOptions(opset, variant.subject.lowering, states=variant.states)


def _prove_file(
    path: Path,
    mode: Mode,
    points: Mapping[Point, int],
    expectations: Expectations,
    others: Sequence[Mapping[str, Array]],
) -> Iterator[Row]:
    """Run one file in one mode and yield a row for each point.

    Args:
        path: the file.
        mode: how to run it.
        points: points of the file, each with the index of its case.
        expectations: exact outputs and budgets of all cases.
        others: for each case, the model's outputs for another input.
    """
    try:
        session = OnnxSession(path, mode.provider, strict=mode.strict, threads=1)
    except (RunError, DataError) as error:
        yield from (_row(point, mode, "failed", float("inf"), str(error)) for point in points)
        return
    results = [_compare(session, expectations, index, mode.precision, others[index]) for index in points.values()]
    nodes = session.placement()
    elsewhere = sorted({node.operator for node in nodes if node.provider != PROVIDERS[mode.provider]})
    ran_there = any(node.provider == PROVIDERS[mode.provider] for node in nodes)
    for point, (status, over_budget, reason) in zip(points, results, strict=True):
        if not ran_there and status != "failed":
            status, reason = "failed", f"no node ran on {mode.provider}"
        yield _row(point, mode, status, over_budget, reason, elsewhere)


def _compare(
    session: OnnxSession, expectations: Expectations, index: int, precision: str, other: Mapping[str, Array]
) -> tuple[str, float, str]:
    """Return status, error over budget and reason of one case: the worst of its outputs."""
    case, expected = expectations.cases[index], expectations.at(precision)[index]
    try:
        actual: Mapping[str, Array] = session.run(case.x, case.lengths, case.states)
    except (RunError, DataError) as error:
        return "failed", float("inf"), str(error)
    if set(actual) != set(expected):
        return "failed", float("inf"), f"the outputs are {', '.join(actual)} instead of {', '.join(expected)}"
    results = judge(expected, actual)
    status = overall([result.status for result in results.values()])
    name = max(
        (name for name, result in results.items() if result.status == status),
        key=lambda name: results[name].over_budget,
    )
    over_budget = max(result.over_budget for result in results.values())
    if status != "passed":
        from_torch = judge(expected, expectations.torch[index])[name]
        return status, over_budget, f"{name}: {results[name].reason}{cell_hint(results[name], from_torch)}"
    if any(distinguishable(value, other[name]) for name, value in expected.items()):
        return status, over_budget, ""
    return "inconclusive", over_budget, f"{next(iter(expected))}: {SAME}"


def _row(
    point: Point, mode: Mode | None, status: str, over_budget: float, reason: str, elsewhere: Sequence[str] = ()
) -> Row:
    """Return a row; ``elsewhere`` are the operators of nodes that ran on another provider than requested."""
    return {
        **point.to_dict(),
        "mode": None if mode is None else mode.name,
        "status": status,
        "over_budget": over_budget,
        "reason": reason,
        "elsewhere": list(elsewhere),
    }
