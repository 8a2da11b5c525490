"""Pictures of ``zoo bench``: latencies of all inputs in one picture, or of one input alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zoo.plots.style import GREY, colour, save
from zoo.timing import duration

if TYPE_CHECKING:
    from zoo.jobs.bench import Bench, Block

WIDTH, HEADING, ROW = 4.2, 0.9, 0.52
"""Inches: width of a panel, which fits a phone; height of its title and axis; height of a bar."""


def plot_bench(result: Bench, path: Path) -> None:
    """Draw the median latency of each candidate as a bar, and a line up to the 95th percentile, for every input.

    Columns are numbers of steps, rows are pairs of provider and batch. A candidate has the same colour everywhere.
    """
    columns = list(dict.fromkeys(block.time for block in result.blocks))
    rows = list(dict.fromkeys((block.provider, block.batch) for block in result.blocks))
    names = list(dict.fromkeys(row.name for block in result.blocks for row in block.rows))
    colours = {name: colour(index) for index, name in enumerate(names)}
    height = 0.4 + len(rows) * (HEADING + ROW * len(names))
    figure = Figure(figsize=(max(2, len(columns)) * WIDTH, height), layout="constrained")  # room for the heading
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for block in result.blocks:
        _draw(grid[rows.index((block.provider, block.batch)), columns.index(block.time)], block, colours)
    threads = f"{result.threads} thread{'s' if result.threads > 1 else ''}"
    figure.suptitle(f"{result.run}: latency, {threads}; median, and a line up to p95", parse_math=False)
    save(figure, path)


def plot_block(block: Block, path: Path) -> None:
    """Draw the latencies of one provider, batch and number of steps."""
    figure = Figure(figsize=(WIDTH, HEADING + ROW * len(block.rows)), layout="constrained")
    _draw(figure.subplots(), block, {row.name: colour(index) for index, row in enumerate(block.rows)})
    save(figure, path)


def _draw(axes: Axes, block: Block, colours: Mapping[str, str]) -> None:
    """Draw each candidate as a bar below its name and its values."""
    for index, row in enumerate(block.rows):
        label = f"{row.name}: {duration(row.p50)}" + (f", {row.ratio.median:.3g} times" if index else "")
        axes.text(0, index - 0.42, label, size=9, va="top", parse_math=False)
        axes.barh(index + 0.22, 1e3 * row.p50, height=0.4, color=colours[row.name])
        axes.plot([1e3 * row.p50, 1e3 * row.p95], [index + 0.22] * 2, color=GREY, linewidth=1.5)
    axes.set_yticks([])
    axes.set_ylim(len(block.rows) - 0.45, -0.55)  # the first candidate on top, as in the table
    axes.set_xlim(0, 1.05e3 * max(row.p95 for row in block.rows))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(labelsize=9)
    axes.set_xlabel("milliseconds a batch", size=9)
    axes.set_title(f"{block.provider}, batch {block.batch}, {block.time} steps", size=10, loc="left")
    axes.spines[["top", "right", "left"]].set_visible(False)
