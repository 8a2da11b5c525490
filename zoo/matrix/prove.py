"""The matrix: a cell proven in every direction, depth and shape, with lengths and states of every kind, at every opset.

What is varied stands in `zoo.matrix.points`. One model is made for each of its settings, one file for each opset, and
what the file should give is worked out once for all opsets.
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
from zoo.parity import Array, judge, tells_apart
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
"""No format will have so many opsets for some time."""

Row = dict[str, Any]
"""What a point is, and in ``mode``, ``status``, ``over_budget``, ``reason`` and ``elsewhere`` what came of it."""


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
        exporter: what writes the files.
        modes: how to run them; each one's provider can run here.
        progress: told how many points are done, and how many there are.
        full: all of them.
        quick: a sample without long inputs, and without the opsets between the first and the newest.

    Returns:
        The report; see `report`. ``left_out`` has a line for whatever was not tried.

    Raises:
        CellError: where the cell does not keep the contract of `zoo.Cell`.
    """
    began = time.monotonic()
    check_cells(draw_points([subject], max(OPSETS), full=False)[0].variant.model().layers())
    newest = newest_opset(exporter, subject)
    points = draw_points([subject], newest, full=full, quick=quick)
    rows: list[Row] = []
    done = 0
    progress(done, len(points))
    for group in by_model(points):
        rows += prove_points(group, exporter, modes)
        done += len(group)
        progress(done, len(points))
    values = report(subject.name, rows, time.monotonic() - began, full=full)
    return values | {"quick": quick, "left_out": left_out(subject, newest, quick=quick)}


def report(architecture: str, rows: Sequence[Row], seconds: float, *, full: bool) -> dict[str, Any]:
    """What the rows come to, ready for JSON.

    ``counts`` has each status: *refused* is what had to be refused and was; what was refused and should not have been,
    or the other way round, is *failed*. *Ill-conditioned* is neither passed nor failed: on such a model no verdict is
    possible. Nor is *inconclusive*: the answer to another input would pass there too. ``worst`` is the largest error,
    in units of its budget, of those that passed.
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
    """The newest opset that an exporter writes here, found by asking it for ever older ones."""
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


def by_model(points: Sequence[Point]) -> list[list[Point]]:
    """The points that share what they should give."""
    groups: dict[Variant, list[Point]] = {}
    for point in points:
        groups.setdefault(point.variant, []).append(point)
    return list(groups.values())


def prove_points(points: Sequence[Point], exporter: Exporter, modes: Sequence[Mode]) -> Iterator[Row]:
    """Prove points of one variant: a row for each point and mode; one alone where the file was to be refused."""
    variant = points[0].variant
    model = variant.model()
    drawn = list(dict.fromkeys((one.lengths, one.shape) for one in points if one.shape is not None))
    places = {one: drawn.index((one.lengths, one.shape)) for one in points if one.shape is not None}
    expectations = Expectations(model, [variant.case(model, lengths, shape) for lengths, shape in drawn])
    others = [torch_outputs(model, variant.with_other_input(case)) for case in expectations.cases]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{exporter.suffix}"
        for point in points:
            if point.shape is None:
                yield _refused(point, model, exporter, path)
        for opset in sorted({one.opset for one in places}):
            of_file = {one: place for one, place in places.items() if one.opset == opset}
            try:
                exporter.export(model, path, {}, _options(variant, opset))
                fault = "; ".join(exporter.faults(path))
            except ZooError as error:
                fault = str(error)
            if fault:
                yield from (_row(one, None, "failed", float("inf"), fault) for one in of_file)
                continue
            for mode in modes:
                yield from _prove_file(path, mode, of_file, expectations, others)


def _refused(point: Point, model: Model, exporter: Exporter, path: Path) -> Row:
    """See that a file is refused, for its opset and in words for the user."""
    try:
        exporter.export(model, path, {}, _options(point.variant, point.opset))
    except UsageError as error:
        return _row(point, None, "refused", 0.0, str(error))
    except ZooError as error:
        return _row(point, None, "failed", float("inf"), str(error))
    return _row(point, None, "failed", float("inf"), f"opset {point.opset} was to be refused, and was written")


def _options(variant: Variant, opset: int) -> ExportOptions:
    return ExportOptions(opset, variant.subject.lowering, states=variant.states)


def _prove_file(
    path: Path,
    mode: Mode,
    points: Mapping[Point, int],
    expectations: Expectations,
    others: Sequence[Mapping[str, Array]],
) -> Iterator[Row]:
    """The points of one file, each with the place of its case, in one mode; ``others`` are the answers of the model to
    another input in place of each case's."""
    try:
        session = OnnxSession(path, mode.provider, strict=mode.strict, threads=1)
    except (RunError, DataError) as error:
        yield from (_row(point, mode, "failed", float("inf"), str(error)) for point in points)
        return
    found = [_compare(session, expectations, number, mode.precision, others[number]) for number in points.values()]
    nodes = session.placement()
    elsewhere = sorted({node.operator for node in nodes if node.provider != PROVIDERS[mode.provider]})
    nowhere = "" if any(node.provider == PROVIDERS[mode.provider] for node in nodes) else mode.provider
    for point, (status, over_budget, reason) in zip(points, found, strict=True):
        if nowhere and status != "failed":
            status, reason = "failed", f"no node ran on {nowhere}"
        yield _row(point, mode, status, over_budget, reason, elsewhere)


def _compare(
    session: OnnxSession, expectations: Expectations, number: int, precision: str, other: Mapping[str, Array]
) -> tuple[str, float, str]:
    """Status, error over budget and reason of one case: the worst of its outputs."""
    case, wanted = expectations.cases[number], expectations.at(precision)[number]
    try:
        found: Mapping[str, Array] = session.run(case.x, case.lengths, case.states)
    except (RunError, DataError) as error:
        return "failed", float("inf"), str(error)
    if set(found) != set(wanted):
        return "failed", float("inf"), f"the outputs are {', '.join(found)} instead of {', '.join(wanted)}"
    each = judge(wanted, found)
    status = overall([one.status for one in each.values()])
    name, worst = max(
        ((name, one) for name, one in each.items() if one.status == status), key=lambda item: item[1].over_budget
    )
    over_budget = max(one.over_budget for one in each.values())
    if status != "passed":
        own = judge(wanted, expectations.torch[number])[name]
        return status, over_budget, f"{name}: {worst.reason}{cell_hint(worst, own)}"
    if any(tells_apart(expected, other[name]) for name, expected in wanted.items()):
        return status, over_budget, ""
    return "inconclusive", over_budget, f"{next(iter(wanted))}: {SAME}"


def _row(
    point: Point, mode: Mode | None, status: str, over_budget: float, reason: str, elsewhere: Sequence[str] = ()
) -> Row:
    """``elsewhere`` are the operators of nodes that another provider ran than the one asked for."""
    return {
        **point.to_dict(),
        "mode": None if mode is None else mode.name,
        "status": status,
        "over_budget": over_budget,
        "reason": reason,
        "elsewhere": list(elsewhere),
    }
