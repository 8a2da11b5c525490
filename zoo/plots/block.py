"""The picture of one measurement of latency, narrow enough for a phone; `zoo.plots.latency` draws all in one."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zoo.bench import Block
from zoo.plots.style import GREY, colour, save
from zoo.timing import duration


def plot_block(block: Block, path: Path) -> None:
    """The median of each candidate as a bar below its name, and a line up to the 95th percentile."""
    figure = Figure(figsize=(4.2, 0.9 + 0.52 * len(block.rows)), layout="constrained")
    axes = figure.subplots()
    for index, row in enumerate(block.rows):
        told = f"{row.name}: {duration(row.p50)}" + (f", {row.ratio.median:.3g} times" if index else "")
        axes.text(0, index - 0.42, told, size=9, va="top", parse_math=False)
        axes.barh(index + 0.22, 1e3 * row.p50, height=0.4, color=colour(index))
        axes.plot([1e3 * row.p50, 1e3 * row.p95], [index + 0.22] * 2, color=GREY, linewidth=1.5)
    axes.set_yticks([])
    axes.set_ylim(len(block.rows) - 0.45, -0.55)  # the first on top, as in the table
    axes.set_xlim(0, 1.05e3 * max(row.p95 for row in block.rows))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(labelsize=9)
    axes.set_xlabel("milliseconds a batch", size=9)
    axes.set_title(f"{block.provider}, batch {block.batch}, {block.time} steps", size=10, loc="left")
    axes.spines[["top", "right", "left"]].set_visible(False)
    save(figure, path)
