"""Picture of ``zoo gates``: every gate and state of one layer and direction over the steps of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zoo.parity import Array
from zoo.plots.style import colour, dash, save, shortened

if TYPE_CHECKING:
    from zoo.jobs.gates import Gates, Series

AS_LINES = 4
"""Units up to which a value is drawn as lines; more would cover each other."""
MOST_UNITS = 64
"""Rows of a heat map at most: the first units, since thinner rows would run into each other."""
MOST_STEPS = 400
"""Columns of a heat map at most; where there are more steps, a column is the mean of several."""
LONGEST_TOKEN = 12
"""Characters of a token or of a feature's name on an axis; a longer one is cut."""
NAMED = 12
"""Features up to which a heat map has their names."""
WHITE_SPACE = {" ": "␣", "\n": "↵", "\t": "⇥"}
"""Signs that stand for characters without ink."""
LONGEST_SOURCE = 60
"""Characters of the name of the sequence in the heading."""
NARROWEST, WIDEST = 6.0, 12.0
"""Width of the picture in inches, by the number of steps."""
ROW, LOWEST, HIGHEST = 0.04, 0.75, 1.8
"""Inches: height of a unit's row in a heat map, and least and greatest height of a panel."""


def plot_gates(result: Gates, series: Sequence[Series], path: Path) -> None:
    """Draw `gates_figure` into a PNG file."""
    save(gates_figure(result, series), path)


def gates_figure(result: Gates, series: Sequence[Series]) -> Figure:
    """Draw the input and each gate and state against the step: heat maps of units, or lines where units are few.

    In a heat map white is 0, red is positive and blue is negative.

    Args:
        result: gates and states of the model, with the input.
        series: those of one layer and direction.
    """
    panels = [] if result.tokens else [("input, as the network reads it", result.inputs, result.columns)]
    panels += [(f"{part.kind} {part.name}", part.values.astype(np.float64), ()) for part in series]
    heights = [_height(values) for _, values, _ in panels]
    width = min(WIDEST, max(NARROWEST, 1.5 + 0.11 * result.steps))
    figure = Figure(figsize=(width, 1.1 + sum(heights) + 0.32 * len(panels)), layout="constrained")
    grid = figure.subplots(
        len(panels), 2, sharex="col", squeeze=False, height_ratios=heights, width_ratios=[width, 0.12]
    )
    for (title, values, names), (axes, bar) in zip(panels, grid, strict=True):
        drawn = values[:, :MOST_UNITS]
        of = f", units 0 to {MOST_UNITS - 1} of {values.shape[1]}" if drawn.shape[1] < values.shape[1] else ""
        axes.set_title(title + of, size=9, loc="left", parse_math=False)
        axes.tick_params(labelsize=8)
        if values.shape[1] <= AS_LINES:
            _lines(axes, bar, drawn, names)
            continue
        axes.set_ylabel("feature" if values is result.inputs else "unit", size=8)
        _heat_map(axes, bar, drawn, names)
    top, bottom = grid[0, 0], grid[-1, 0]
    bottom.set_xlabel("step", size=9)
    bottom.set_xlim(0.5, result.steps + 0.5)
    bottom.xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    if result.tokens:
        _name_steps(top, result.tokens, (width - 1.2) / result.steps)
    figure.suptitle(_heading(result, series[0]), size=10, parse_math=False)
    return figure


def _height(values: Array) -> float:
    units = min(values.shape[1], MOST_UNITS)
    return LOWEST if units <= AS_LINES else min(HIGHEST, max(LOWEST, ROW * units))


def _heading(result: Gates, series: Series) -> str:
    source = " ".join(result.source.split())
    if len(source) > LONGEST_SOURCE:
        source = source[: LONGEST_SOURCE - 1] + "…"
    order = (
        "from the first step to the last →" if series.direction == "forward" else "from the last step to the first ←"
    )
    name = f"{result.name}: " if result.name else ""
    lines = [f"{name}{source}", f"layer {series.layer}, {series.direction}; reads {order}"]
    if (merged := _merged(result.steps)) > 1:
        lines.append(f"a column of a heat map is the mean of {merged} steps")
    return "\n".join(lines)


def _merged(steps: int) -> int:
    """Return how many steps share a column."""
    return -(-steps // MOST_STEPS)


def _lines(axes: Axes, bar: Axes, values: Array, names: Sequence[str]) -> None:
    """Draw each unit as a line."""
    bar.set_axis_off()
    steps = np.arange(1, len(values) + 1)
    mark = "o" if len(values) == 1 else None
    for unit, course in enumerate(values.T):
        label = (names[unit] if names else f"unit {unit}").replace("$", r"\$")
        axes.plot(
            steps,
            course,
            color=colour(unit),
            linestyle=dash(unit),
            marker=mark,
            markersize=3,
            linewidth=1.2,
            label=label,
        )
    axes.grid(alpha=0.3)
    axes.legend(loc="upper right", fontsize=7, ncols=AS_LINES, framealpha=0.7)


def _heat_map(axes: Axes, bar: Axes, values: Array, names: Sequence[str]) -> None:
    """Draw each unit as a row."""
    steps, units = values.shape
    merged = _merged(steps)
    starts = np.arange(0, steps, merged)
    counts = np.diff(np.append(starts, steps))
    with np.errstate(invalid="ignore"):  # the values of a diverging model may be infinite
        columns = np.add.reduceat(values, starts) / counts[:, None]
    largest = float(np.abs(columns).max(initial=0.0, where=np.isfinite(columns)))
    limit = 1.0 if largest <= 1 else largest
    low = -limit if bool((columns < 0).any()) else 0.0
    edges = np.append(starts, steps) + 0.5, np.arange(units + 1) - 0.5
    image = axes.pcolormesh(*edges, columns.T, cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes.invert_yaxis()
    if names and units <= NAMED:
        axes.set_yticks(range(units), [shortened(name, LONGEST_TOKEN) for name in names[:units]], parse_math=False)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.figure.colorbar(image, cax=bar, ticks=[low, (low + limit) / 2, limit], format="{x:.2g}")
    bar.set_ylim(low, limit)
    bar.tick_params(labelsize=7)


def _name_steps(axes: Axes, tokens: Sequence[str], space: float) -> None:
    """Write the tokens above the first panel; where they would overlap, only every second, third, … of them.

    Args:
        axes: the first panel.
        tokens: token of each step.
        space: inches for a step.
    """
    names = [WHITE_SPACE.get(token, shortened(token, LONGEST_TOKEN)) for token in tokens]
    turned = max(map(len, names)) > 1
    size = 8 if space >= 0.11 else 6
    every = max(1, int(np.ceil(size / 72 * (1.2 if turned else 0.6) / space)))
    above = axes.secondary_xaxis("top")
    above.set_xticks(range(1, len(names) + 1, every), names[::every], rotation=90 if turned else 0, parse_math=False)
    above.tick_params(labelsize=size, length=2, pad=1)
    if every > 1:
        above.set_xlabel(f"tokens of 1 step in {every}", size=8)
