"""Picture of the learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from zoo.plots.style import BLUE, GREY, ORANGE, save
from zoo.training.progress import EpochRecord

FEW_EPOCHS = 30
"""Epochs up to which each is marked with a dot; a single epoch would show no line."""
SIZE = (5.2, 6.0)
"""Width and height in inches; loss above metric, so that both are legible on a phone."""


def plot_curves(history: Sequence[EpochRecord], metric: str, path: Path) -> None:
    """Draw training and validation loss, and the metric that chose the best weights, against the epoch."""
    epochs = [record.epoch for record in history]
    training = [record.train_loss for record in history]
    validation = [record.validation["loss"] for record in history]
    values = [record.value_of(metric) for record in history]
    best = next(record for record in reversed(history) if record.best)

    figure = Figure(figsize=SIZE, layout="constrained")
    losses, metrics = figure.subplots(2, 1)
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
