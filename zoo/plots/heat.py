"""Picture of the matrix: a heat map with the largest error / budget in each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from zoo.plots.style import save

MARKS = {"failed": "F", "ill-conditioned": "I", "inconclusive": "N", "refused": "R"}
"""Letter in a cell, beside its number or without one."""
FAULT = "#b3261e"
"""Colour of a cell with a failed proof."""


@dataclass(frozen=True)
class Cell:
    """Worst result of the proofs with the same settings."""

    status: str
    """The worst status: passed, failed, ill-conditioned, inconclusive or refused."""
    over_budget: float | None
    """Largest error in units of its budget; None if no proof has one."""


@dataclass(frozen=True)
class Grid:
    """Heat map with named rows and columns; a cell is None where nothing was tried."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[Cell | None]]


def plot_grids(grids: Sequence[Grid], path: Path) -> None:
    """Draw the grids one above the other; a deeper blue is an error closer to its budget, red is a failure."""
    heights = [0.9 + 0.25 * len(grid.rows) for grid in grids]
    figure = Figure(figsize=(4.6, sum(heights)), layout="constrained")
    drawn = figure.subplots(len(grids), 1, squeeze=False, height_ratios=heights)
    for axes, grid in zip(drawn[:, 0], grids, strict=True):
        _draw(axes, grid)
    save(figure, path)


def _draw(axes: Axes, grid: Grid) -> None:
    for row, cells in enumerate(grid.cells):
        for column, cell in enumerate(cells):
            ground = "white" if cell is None else colour_of(cell)
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=ground, edgecolor="#bbbbbb", linewidth=0.6))
            if cell is not None:
                ink = "white" if cell.status == "failed" else "black"
                axes.text(column + 0.5, row + 0.5, _text(cell), ha="center", va="center", size=8, color=ink)
    axes.set_xlim(0, len(grid.columns))
    axes.set_ylim(len(grid.rows), 0)
    axes.set_xticks([at + 0.5 for at in range(len(grid.columns))], grid.columns, size=8, parse_math=False)
    axes.set_yticks([at + 0.5 for at in range(len(grid.rows))], grid.rows, size=8, parse_math=False)
    axes.tick_params(length=0)
    axes.set_title(grid.title, size=10, loc="left", parse_math=False)
    axes.spines[:].set_visible(False)


def colour_of(cell: Cell) -> str | tuple[float, float, float, float]:
    """Return a colour light enough for black text, whose dark twin is dark enough for white text."""
    if cell.status == "failed":
        return FAULT
    if cell.over_budget is None:
        return "#dddddd"
    shade: tuple[float, float, float, float] = colormaps["Blues"](0.5 * min(1.0, cell.over_budget))
    return shade


def _text(cell: Cell) -> str:
    number = "" if cell.over_budget is None else f"{cell.over_budget:.2f}" if cell.over_budget < 10 else "> 10"
    return f"{number} {MARKS.get(cell.status, '')}".strip()
