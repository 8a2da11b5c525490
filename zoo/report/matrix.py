"""The matrix of ``zoo check --matrix`` on the page: the worst proof of each combination of settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from zoo.plots.heat import Cell, Grid
from zoo.report.proofs import Table

Row = Mapping[str, Any]
"""One proof of the matrix: its settings and its result."""
Key = Callable[[Row], tuple[Any, ...]]
"""The settings of a row that place it in a grid; the tuples order the rows and the columns."""

STATUSES = ("failed", "ill-conditioned", "inconclusive", "passed", "refused")
"""The worst first."""
MOST_ROWS = 40
"""Rows of the table of proofs that did not pass."""
BIAS = {True: "on", False: "off", None: "no option"}


def grids(rows: Sequence[Row]) -> list[Grid]:
    """Return two grids: the architecture by the kind of lengths, and the other settings by the shape."""
    shaped = [row for row in rows if row["batch"] is not None]  # a refused file ran on no shape
    architecture = itemgetter("direction", "layers", "weights")
    return [
        _grid("direction, layers, weights; by lengths", rows, [architecture], lambda row: (str(row["lengths"]),)),
        _grid(
            "opset, bias, states; by batch x steps",
            shaped,
            [
                lambda row: ("opset", row["opset"]),
                lambda row: ("bias", BIAS[row["bias"]]),
                lambda row: ("states", row["states"]),
            ],
            itemgetter("time", "batch"),
        ),
    ]


def _grid(title: str, rows: Sequence[Row], row_keys: Sequence[Key], column_key: Key) -> Grid:
    columns = sorted({column_key(row) for row in rows})
    names: list[str] = []
    cells: list[list[Cell | None]] = []
    for key in row_keys:
        for settings in sorted({key(row) for row in rows}):
            matching = [row for row in rows if key(row) == settings]
            names.append(" ".join(map(str, settings)))
            cells.append([_worst([row for row in matching if column_key(row) == column]) for column in columns])
    # Shapes are ordered by steps and named by batch first.
    return Grid(title, names, ["x".join(map(str, reversed(column))) for column in columns], cells)


def _worst(rows: Sequence[Row]) -> Cell | None:
    if not rows:
        return None
    status = min((str(row["status"]) for row in rows), key=STATUSES.index)
    shares = [row["over_budget"] for row in rows if row["status"] != "refused" and row["over_budget"] is not None]
    return Cell(status, max(shares, default=None))


def not_passed(rows: Sequence[Row]) -> Table | None:
    """Return the table of proofs that did not pass, the worst first, or None where all passed."""
    faults = sorted((row for row in rows if row["status"] != "passed"), key=lambda row: STATUSES.index(row["status"]))
    if not faults:
        return None
    names = ("mode", "direction", "layers", "bias", "states", "lengths", "weights", "opset", "batch", "time")
    rest = f"; the first {MOST_ROWS} of {len(faults)}, matrix.json contains all" if len(faults) > MOST_ROWS else ""
    body = [
        [row["status"], *(_cell(row.get(name)) for name in names), row["reason"] or ""] for row in faults[:MOST_ROWS]
    ]
    return Table(f"Proofs that did not pass{rest}", ("verdict", *names, "reason"), body)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)
