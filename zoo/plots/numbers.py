"""Pictures of numeric predictions: as a series over time, or as a scatter plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.parity import Array
from zoo.plots.style import BLUE, GREY, ORANGE, save

CLOSE_UP = 200
"""Steps of the test part in the enlarged view."""


def plot_series(parts: Mapping[str, tuple[Array, Array]], title: str, path: Path) -> None:
    """Draw targets and predictions of all parts in sequence, and below them the first steps of the test part.

    Args:
        parts: name of the part -> targets (n,) and predictions (n,); the last is the test part.
        title: the title of the picture.
        path: the PNG file.
    """
    figure = Figure(figsize=(6.0, 6.4), layout="constrained")
    whole, close = figure.subplots(2, 1)
    start = 0
    for index, (name, (true, predicted)) in enumerate(parts.items()):
        steps = np.arange(start, start + len(true))
        _lines(whole, steps, true, predicted, labelled=index == 0)
        if index:
            whole.axvline(start, color=GREY, linestyle="--", linewidth=1)
        whole.annotate(
            name, (start, 1), (4, -4), xycoords=("data", "axes fraction"), textcoords="offset points", va="top"
        )
        start += len(true)
    whole.set(title=title, xlim=(0, max(1, start - 1)))
    name, (true, predicted) = list(parts.items())[-1]
    shown = slice(0, CLOSE_UP)
    _lines(close, np.arange(len(true))[shown], true[shown], predicted[shown], labelled=False)
    close.set(title=f"{name}, first steps", xlabel="step")
    figure.legend(loc="outside upper right", ncols=2)
    save(figure, path)


def _lines(axes: Axes, steps: Array, true: Array, predicted: Array, *, labelled: bool) -> None:
    axes.plot(steps, true, color=BLUE, linewidth=1, label="true" if labelled else None)
    axes.plot(steps, predicted, color=ORANGE, linewidth=1, label="predicted" if labelled else None)
    axes.grid(alpha=0.3)


def plot_scatter(true: Array, predicted: Array, name: str, path: Path) -> None:
    """Draw predictions (n,) against targets (n,) of the test part; on the dashed line they are equal."""
    figure = Figure(figsize=(5.2, 5), layout="constrained")
    axes = figure.subplots()
    ends = [float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))]
    axes.plot(ends, ends, color=GREY, linestyle="--", linewidth=1)
    axes.plot(true, predicted, ".", color=BLUE, markersize=3)
    axes.set(xlabel=f"true {name}", ylabel=f"predicted {name}", title="test part")
    axes.grid(alpha=0.3)
    save(figure, path)
