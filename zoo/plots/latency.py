"""The picture of how fast a run answers, as a PNG file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zoo.bench import Bench, Block
from zoo.plots.style import GREY, colour, save
from zoo.timing import duration

ROOM = 1.7
"""Length of the axis in units of the longest bar, which has its number beside it."""


def plot_bench(result: Bench, path: Path) -> None:
    """For every provider, batch and time the median of each candidate as a bar, and a line up to the 95th percentile.

    A column of the picture is a time, a row a provider and a batch; a candidate has one colour throughout.
    """
    columns = list(dict.fromkeys(block.time for block in result.blocks))
    rows = list(dict.fromkeys((block.provider, block.batch) for block in result.blocks))
    names = list(dict.fromkeys(row.name for block in result.blocks for row in block.rows))
    colours = {name: colour(index) for index, name in enumerate(names)}
    height = 1.0 + len(rows) * (0.8 + 0.34 * len(names))
    figure = Figure(figsize=(1.8 + 4.8 * len(columns), height), layout="constrained")
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for block in result.blocks:
        axes = grid[rows.index((block.provider, block.batch)), columns.index(block.time)]
        _bars(axes, block, colours)
    threads = f"{result.threads} thread{'s' if result.threads > 1 else ''}"
    run = result.run.replace("$", r"\$")
    figure.suptitle(f"{run}: latency, {threads}; median, and a line up to p95")
    save(figure, path)


def _bars(axes: Axes, block: Block, colours: Mapping[str, str]) -> None:
    for index, row in enumerate(block.rows):
        axes.barh(index, 1e3 * row.p50, height=0.7, color=colours[row.name])
        axes.plot([1e3 * row.p50, 1e3 * row.p95], [index, index], color=GREY, linewidth=1.5)
        told = duration(row.p50) + (f"  ({row.ratio.median:.3g} times)" if index else "")
        axes.annotate(told, (1e3 * row.p95, index), (4, 0), textcoords="offset points", va="center", size=9)
    axes.set_yticks(range(len(block.rows)), [row.name for row in block.rows])
    axes.set_ylim(len(block.rows) - 0.5, -0.5)  # the first on top, as in the table
    axes.set_xlim(0, ROOM * 1e3 * max(row.p95 for row in block.rows))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set(title=f"{block.provider}, batch {block.batch}, {block.time} steps", xlabel="milliseconds a batch")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
