"""The picture of a proof: how far an exported file is off, and how far it may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.plots.style import ORANGE, colour, dash, mark, save

APART = 1.09
"""How many times further right the next case of the same number of steps stands."""


@dataclass(frozen=True)
class Course:
    """Errors of one output on one provider and what they may be, all of one length and in the order of the steps."""

    provider: str
    steps: Sequence[int]
    errors: Sequence[float]
    budgets: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """One output."""

    output: str
    courses: Sequence[Course]
    of_steps: bool
    """Whether it shows each step of one case; else each case, at its number of steps."""


def plot_parity(panels: Sequence[Panel], path: Path) -> None:
    """Error and budget against steps, both on logarithmic axes, one output above the other.

    Lines where the steps are those of one case. Cases stand side by side: a mark at the error, and a bar at its budget.
    An error of 0 is drawn at the lower edge.
    """
    figure = Figure(figsize=(4.2, 0.6 + 2.3 * len(panels)), layout="constrained")
    drawn = figure.subplots(len(panels), squeeze=False)[:, 0]
    for axes, panel in zip(drawn, panels, strict=True):
        floor = _floor(panel)
        for index, course in enumerate(panel.courses):
            (_lines if panel.of_steps else _cases)(axes, course, index, floor)
        axes.set_yscale("log")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_title(panel.output, size=10, loc="left", parse_math=False)
        axes.set(xlabel="step" if panel.of_steps else "steps of a case", ylabel="error")
        axes.tick_params(labelsize=9)
        axes.grid(alpha=0.3)
    known = {label: line for axes in drawn for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(known.values()), list(known), loc="outside lower center", ncols=2, fontsize=9)
    save(figure, path)


def _floor(panel: Panel) -> float:
    """Where an error of 0 is drawn: below every other."""
    values = [value for course in panel.courses for value in (*course.errors, *course.budgets) if value > 0]
    return min(values, default=1.0) / 2


def _lines(axes: Axes, course: Course, index: int, floor: float) -> None:
    errors = [max(error, floor) for error in course.errors]
    axes.plot(course.steps, errors, color=colour(2 * index), linewidth=1.2, label=f"error, {course.provider}")
    budgets = [max(budget, floor) for budget in course.budgets]
    axes.plot(course.steps, budgets, color=ORANGE, linestyle=dash(1 + index), label=f"budget, {course.provider}")


def _cases(axes: Axes, course: Course, index: int, floor: float) -> None:
    places: list[float] = []
    for number, steps in enumerate(course.steps):
        places.append(steps * APART ** (course.steps[:number].count(steps) + 0.5 * index))
    errors, budgets = ([max(value, floor) for value in values] for values in (course.errors, course.budgets))
    own = colour(2 * index)
    axes.vlines(places, errors, budgets, color=own, linewidth=0.8, alpha=0.5)
    axes.plot(places, errors, mark(index), color=own, markersize=4, label=f"error, {course.provider}")
    axes.plot(places, budgets, "_", color=ORANGE, markersize=8, markeredgewidth=2, label=f"budget, {course.provider}")
