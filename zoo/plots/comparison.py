"""Picture of ``zoo compare``: quality, training time and latency of several runs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator

from zoo.plots.style import GREY, colour, mark, save

if TYPE_CHECKING:
    from zoo.jobs.compare import Comparison

LABEL_WIDTH = 24
"""Characters of a line of a label."""
FAR_APART = 20
"""Ratio of largest to smallest loss from which the axis is logarithmic; small losses would look like zero."""
LOWEST = 4.2
"""Least height of the picture in inches."""


def plot_comparison(comparison: Comparison, path: Path) -> None:
    """Draw the metric against the parameters with its range over seeds, the training times, and the latencies."""
    groups = comparison.groups
    labels = [_escaped("\n".join(textwrap.wrap(group.label, LABEL_WIDTH))) for group in groups]
    lines = sum(label.count("\n") + 1 for label in labels)
    latencies = [{name: 1e3 * seconds for name, seconds in group.latency.items()} for group in groups]
    figure = Figure(figsize=(11, max(LOWEST, 1.6 + 0.4 * lines)), layout="constrained")
    grid = figure.add_gridspec(1 + any(latencies), 2, width_ratios=(1.1, 1))
    _quality(figure.add_subplot(grid[:, 0]), comparison)
    training = figure.add_subplot(grid[0, 1])
    _bars(training, labels, [{"": group.training_seconds} for group in groups])
    training.set(title="training time", xlabel="seconds, median")
    if any(latencies):
        latency = figure.add_subplot(grid[1, 1])
        _bars(latency, labels, latencies, "not exported")
        providers = " and ".join(dict.fromkeys(name for values in latencies for name in values))
        latency.set(title="latency of one sequence", xlabel=f"milliseconds, ONNX Runtime on {providers}, median")
    save(figure, path)


def _quality(axes: Axes, comparison: Comparison) -> None:
    for index, group in enumerate(comparison.groups):
        # Rounding may put the mean of equal values outside their range, and an error bar must not be negative.
        low, high = max(0.0, group.mean - min(group.values)), max(0.0, max(group.values) - group.mean)
        look: dict[str, Any] = {"color": colour(index), "marker": mark(index), "markersize": 8, "capsize": 4}
        bar = [[low], [high]] if len(group.values) > 1 else None
        axes.errorbar([group.parameters], [group.mean], yerr=bar, **look)
    counts = [group.parameters for group in comparison.groups]
    axes.set_xscale("log")
    ratio = max(counts) / min(counts)
    room = max(1.4, ratio**0.07)
    axes.set_xlim(min(counts) / room, max(counts) * room)
    decades = LogLocator(subs=(1, 2, 5) if ratio < 100 else (1,))
    axes.xaxis.set_major_locator(MaxNLocator(4) if ratio < 4 else decades)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter("")
    axes.set(
        title="\n".join([f"test part ({comparison.better} is better)", *_show_naive(axes, comparison)]),
        xlabel="parameters",
        ylabel=f"{comparison.metric.replace('_', ' ')}: mean, minimum, maximum",
    )
    axes.grid(alpha=0.3)


def _show_naive(axes: Axes, comparison: Comparison) -> list[str]:
    """Draw a line for each naive predictor near the models; a distant one would compress their range.

    Returns:
        A line of text for each naive predictor.
    """
    groups = comparison.groups
    values = [value for group in groups for value in group.values]
    naive = {(group.baseline, group.baseline_value) for group in groups if group.baseline_value is not None}
    low, high = min(values), max(values)
    reach = max(high - low, 0.02 * abs(high), 1e-9)
    near = {value for _, value in naive if low - 2 * reach < value < high + 2 * reach}
    for value in near:
        axes.axhline(value, color=GREY, linestyle="--", linewidth=1)
    low, high = min([low, *near]), max([high, *near])
    if comparison.better == "lower" and 0 < FAR_APART * low < high:
        axes.set_yscale("log")
        axes.set_ylim(low / 2, high * 2)
    else:
        axes.set_ylim(low - 0.2 * reach, high + 0.2 * reach)
    return [f"naive: {n} {value:.4g} ({'dashed' if value in near else 'off the axis'})" for n, value in sorted(naive)]


def _bars(axes: Axes, labels: Sequence[str], values: Sequence[Mapping[str, float]], empty: str = "") -> None:
    """Draw a bar for each value of each group, in the colour of the group and with its mark."""
    kinds = list(dict.fromkeys(kind for bars in values for kind in bars))
    height, largest = 0.7 / max(1, len(kinds)), max(value for bars in values for value in bars.values())
    for index, bars in enumerate(values):
        for number, (kind, value) in enumerate(bars.items()):
            position = index + (number - (len(kinds) - 1) / 2) * height
            axes.barh(position, value, height=0.9 * height, color=colour(index), alpha=1 - 0.4 * number)
            text = (f"{value:.3g}" if value < 1000 else f"{value:,.0f}") + (f" {kind}" if len(kinds) > 1 else "")
            axes.annotate(text, (value, position), (4, 0), textcoords="offset points", va="center", size=9)
        axes.plot(0.02, index, mark(index), color=colour(index), mec="white", transform=axes.get_yaxis_transform())
        if not bars:
            axes.annotate(empty, (0.05, index), xycoords=axes.get_yaxis_transform(), va="center", size=9)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(max(3, len(labels)) - 0.5, -0.5)  # the first group on top, as in the table
    axes.set_xlim(0, largest * 1.25 or 1)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _escaped(text: str) -> str:
    return text.replace("$", r"\$")
