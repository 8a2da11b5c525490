"""Picture of ``zoo gradients``: the norm of dLoss/dstate against the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zoo.plots.style import colour, dash, mark

if TYPE_CHECKING:
    from zoo.jobs.gradients import Curve

LOWEST = 4.0
"""Least height of the picture in inches."""
MARKS_ON_A_LINE = 8


def gradients_figure(runs: Mapping[str, Sequence[Curve]], weights: str) -> Figure:
    """Draw the norms of every state of every run against the step, on a logarithmic axis.

    Colour and mark stand for the run, dashes for the state; with a single run, colour and mark stand for the state too.
    A norm of zero cannot be drawn on the axis and is left out.

    Args:
        runs: name of the run -> its curves.
        weights: ``trained`` or ``untrained``, for the title.
    """
    longest = max(len(curve.norms) for curves in runs.values() for curve in curves)
    count = sum(map(len, runs.values()))
    every = max(1, longest // MARKS_ON_A_LINE)
    # The legend beside the axes needs the width.
    figure = Figure(figsize=(9.5, max(LOWEST, 0.8 + 0.19 * count)), layout="constrained")
    axes = figure.subplots()
    axes.set_yscale("log", nonpositive="mask")
    shown = 0
    for number, (name, curves) in enumerate(runs.items()):
        for index, curve in enumerate(curves):
            look = number if len(runs) > 1 else index
            axes.plot(
                np.arange(1, len(curve.norms) + 1),
                np.where(np.array(curve.norms) > 0, curve.norms, np.nan),
                color=colour(look),
                marker=mark(look),
                # Shifted marks keep coinciding curves apart.
                markevery=(shown * every // count, every),
                markersize=4.5,
                linestyle=dash(index),
                linewidth=1.4,
                label=f"{name}  {curve.state}".replace("$", r"\$"),
            )
            shown += 1
    title = f"Gradient of the loss with respect to the state at each step, {weights}"
    axes.set(title=title, xlabel="step t", ylabel="mean norm of dLoss / dstate$_t$", xlim=(1, max(2, longest)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", handlelength=3.6, fontsize=9)
    return figure
