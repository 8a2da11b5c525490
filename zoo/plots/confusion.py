"""Picture of a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from zoo.parity import Array
from zoo.plots.style import save, shortened

MOST_NUMBERS = 40
"""Classes up to which the cells contain their counts; more would be illegible."""
MOST_LABELS = 60
"""Labels along an axis at most."""
LONGEST_LABEL = 20
"""Characters of a label; a longer one is cut."""


def plot_confusion(confusion: Array, labels: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix; the shade of a cell is the share of the true class, the number is the count.

    Args:
        confusion: counts (classes, classes), true class by row.
        labels: names of the classes.
        path: the PNG file.
    """
    classes = len(labels)
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    size = min(13.0, max(4.0, 1.7 + 0.35 * classes))
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    edges = np.arange(classes + 1) - 0.5
    grid = "#dddddd" if classes <= MOST_LABELS else "none"
    axes.pcolormesh(edges, edges, shares, cmap="Blues", vmin=0, vmax=1, edgecolors=grid, linewidth=0.5)
    axes.set_aspect("equal")
    axes.invert_yaxis()  # the first class on top, as in a table
    title = f"test part: {np.trace(confusion):,.0f} of {confusion.sum():,.0f} correct"
    axes.set(xlabel="predicted", ylabel="true", title=title)
    named = range(0, classes, -(-classes // MOST_LABELS))
    names = [shortened(labels[index], LONGEST_LABEL) for index in named]
    rotation = 90 if max(map(len, names)) > 2 else 0
    axes.set_xticks(named, names, rotation=rotation, parse_math=False)
    axes.set_yticks(named, names, parse_math=False)
    if classes <= MOST_NUMBERS:
        for row, column in np.argwhere(confusion):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{confusion[row, column]:.0f}", ha="center", va="center", color=colour, size=8)
    save(figure, path)
