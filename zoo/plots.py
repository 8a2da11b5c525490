"""Pictures of a run, as PNG files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from zoo.engine import EpochRecord
from zoo.files import write_atomically

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#888888"  # told apart by colour-blind readers too (Okabe and Ito)
FEW_EPOCHS = 30
"""Up to here each epoch is marked with a dot: a single one would show no line."""
MOST_NUMBERS = 40
"""Classes up to which the counts are written into the confusion matrix; of more they could not be read."""
MOST_LABELS = 60
"""Labels along an axis."""
LONGEST_LABEL = 20


def plot_curves(history: Sequence[EpochRecord], metric: str, path: Path) -> None:
    """Training and validation loss, and the metric that chose the best weights, against the epoch."""
    epochs = [record.epoch for record in history]
    training = [record.train_loss for record in history]
    validation = [record.validation["loss"] for record in history]
    values = [record.value_of(metric) for record in history]
    best = next(record for record in reversed(history) if record.best)

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    losses, metrics = figure.subplots(1, 2)
    marker = "." if len(epochs) <= FEW_EPOCHS else ""
    losses.plot(epochs, training, color=BLUE, marker=marker, label="training")
    losses.plot(epochs, validation, color=ORANGE, marker=marker, label="validation")
    losses.set(ylabel="loss")
    if (least := min(training + validation)) > 0:
        losses.set_yscale("log")
        losses.yaxis.set_major_formatter("{x:g}")
        losses.yaxis.set_minor_formatter("{x:g}" if max(training + validation) < 10 * least else "")
    metrics.plot(epochs, values, color=ORANGE, marker=marker, label="validation")
    chosen = best.value_of(metric)
    metrics.plot([best.epoch], [chosen], "o", color=BLUE, label=f"best: {chosen:.4g} in epoch {best.epoch}")
    metrics.set(ylabel=metric.replace("_", " "))
    for axes in (losses, metrics):
        axes.axvline(best.epoch, color=GREY, linestyle=":", linewidth=1)
        axes.grid(alpha=0.3)
        axes.set(xlabel="epoch", xlim=(0.5, len(epochs) + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.legend()
    save(figure, path)


def plot_confusion(confusion: NDArray[Any], labels: Sequence[str], path: Path) -> None:
    """Counts (classes, classes), true class by row: the shade is the share of the true class, the number the count."""
    classes = len(labels)
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    size = min(13.0, 2.5 + 0.42 * classes)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.subplots()
    edges = np.arange(classes + 1) - 0.5
    grid = "#dddddd" if classes <= MOST_LABELS else "none"
    axes.pcolormesh(edges, edges, shares, cmap="Blues", vmin=0, vmax=1, edgecolors=grid, linewidth=0.5)
    axes.set_aspect("equal")
    axes.invert_yaxis()  # the first class on top, as in a table
    title = f"test part: {np.trace(confusion):,.0f} of {confusion.sum():,.0f} right"
    axes.set(xlabel="predicted", ylabel="true", title=title)
    named = range(0, classes, -(-classes // MOST_LABELS))
    names = [_shortened(labels[index]) for index in named]
    rotation = 90 if max(map(len, names)) > 2 else 0
    axes.set_xticks(named, names, rotation=rotation, parse_math=False)
    axes.set_yticks(named, names, parse_math=False)
    if classes <= MOST_NUMBERS:
        for row, column in np.argwhere(confusion):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{confusion[row, column]:.0f}", ha="center", va="center", color=colour, size=8)
    save(figure, path)


def _shortened(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    FigureCanvasAgg(figure)
    picture = BytesIO()
    with warnings.catch_warnings():
        # A script that the font does not have shows as boxes; nobody can do anything about it here.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(picture, format="png", dpi=130)
    write_atomically(path, picture.getvalue())
