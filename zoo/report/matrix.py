"""What the page shows of ``zoo check --matrix``: the worst proof of each combination."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zoo.plots.heat import Cell, Grid
from zoo.report.proofs import Table

Row = Mapping[str, Any]
Place = tuple[Any, ...]
Key = Callable[[Row], Place]
"""Where a row of the matrix belongs; in a grid's order."""

STATUSES = ("failed", "ill-conditioned", "inconclusive", "passed", "refused")
"""The worst first."""
MOST_ROWS = 40
"""Of the table of what did not pass."""


def grids(rows: Sequence[Row]) -> list[Grid]:
    """Two grids: the architecture against the kinds of lengths, and everything else against the shapes."""
    shaped = [row for row in rows if row["batch"] is not None]  # what was refused was not run on any
    return [
        _grid("direction, layers, weights; by lengths", rows, [_architecture], _lengths),
        _grid("opset, bias, states; by batch x steps", shaped, [_opset, _bias, _states], _shape),
    ]


def _architecture(row: Row) -> Place:
    return row["direction"], row["layers"], row["weights"]


def _lengths(row: Row) -> Place:
    return (str(row["lengths"]),)


def _opset(row: Row) -> Place:
    return "opset", row["opset"]


def _bias(row: Row) -> Place:
    return "bias", {True: "on", False: "off", None: "as it is"}[row["bias"]]


def _states(row: Row) -> Place:
    return "states", row["states"]


def _shape(row: Row) -> Place:
    return row["time"], row["batch"]


def _grid(title: str, rows: Sequence[Row], keys: Sequence[Key], column_of: Key) -> Grid:
    columns = sorted({column_of(row) for row in rows})
    names: list[str] = []
    cells: list[list[Cell | None]] = []
    for key in keys:
        for place in sorted({key(row) for row in rows}):
            own = [row for row in rows if key(row) == place]
            names.append(" ".join(map(str, place)))
            cells.append([_worst([row for row in own if column_of(row) == column]) for column in columns])
    # Shapes are in order of the steps, and are named by the batch first.
    return Grid(title, names, ["x".join(map(str, reversed(column))) for column in columns], cells)


def _worst(rows: Sequence[Row]) -> Cell | None:
    if not rows:
        return None
    status = min((str(row["status"]) for row in rows), key=STATUSES.index)
    shares = [row["over_budget"] for row in rows if row["status"] != "refused" and row["over_budget"] is not None]
    return Cell(status, max(shares, default=None))


def not_passed(rows: Sequence[Row]) -> Table | None:
    """The proofs that did not pass, the worst first; None where all did."""
    some = sorted((row for row in rows if row["status"] != "passed"), key=lambda row: STATUSES.index(row["status"]))
    if not some:
        return None
    names = ("mode", "direction", "layers", "bias", "states", "lengths", "weights", "opset", "batch", "time")
    rest = f"; the first {MOST_ROWS} of {len(some)}, all stand in matrix.json" if len(some) > MOST_ROWS else ""
    body = [
        [row["status"], *(_shown(row.get(name)) for name in names), row["reason"] or ""] for row in some[:MOST_ROWS]
    ]
    return Table(f"What did not pass{rest}", ("verdict", *names, "reason"), body)


def _shown(value: object) -> str:
    return {None: "", True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool | None) else str(value)
