"""Picture of a proof: errors of the exported file, and their budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.plots.style import ORANGE, colour, dash, mark, save

WIDTH = 0.8
"""Share of the space of one number of steps over which its cases are spread."""

UPRIGHT = 6
"""Most numbers of steps whose labels are horizontal; more are rotated, and the picture is wider."""
MOST_LABELS = 36
"""Most labels of an axis; of more numbers of steps every second one is labelled, or fewer."""

Place = tuple[int, ...]
"""Position of an error: (step,); for a whole case (steps,); for a case of a stream (steps, steps of a chunk)."""


@dataclass(frozen=True)
class Course:
    """Errors and budgets of one output on one provider, by place."""

    provider: str
    places: Sequence[Place]
    errors: Sequence[float]
    budgets: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """Part of the picture for one output."""

    output: str
    courses: Sequence[Course]
    of_steps: bool
    """Whether the places are the steps of one case; otherwise they are cases."""


def plot_parity(panels: Sequence[Panel], path: Path) -> None:
    """Draw error and budget against steps, one panel above the other, with a logarithmic axis of errors.

    The steps of one case are drawn as lines over a logarithmic axis. Cases are drawn side by side above their number of
    steps, or of steps and chunk: a mark at the error and a bar at the budget. An error of 0 is drawn at the lower edge.
    """
    most = max((len(_groups(panel)) for panel in panels if not panel.of_steps), default=0)
    width = 4.2 + 0.12 * (min(max(most, UPRIGHT), MOST_LABELS) - UPRIGHT)
    figure = Figure(figsize=(width, 0.6 + (2.3 if most <= UPRIGHT else 2.6) * len(panels)), layout="constrained")
    drawn = figure.subplots(len(panels), squeeze=False)[:, 0]
    for axes, panel in zip(drawn, panels, strict=True):
        draw_panel(axes, panel)
        axes.set_title(panel.output, size=10, loc="left", parse_math=False)
        axes.tick_params(labelsize=9)
        axes.grid(alpha=0.3)
    legend = {label: line for axes in drawn for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(legend.values()), list(legend), loc="outside lower center", ncols=2, fontsize=9)
    save(figure, path)


def draw_panel(axes: Axes, panel: Panel) -> None:
    """Draw errors and budgets of one output."""
    floor = _floor(panel)
    axes.set_yscale("log")
    axes.set_ylabel("error")
    if panel.of_steps:
        for index, course in enumerate(panel.courses):
            _lines(axes, course, index, floor)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("step")
        return
    groups = _groups(panel)
    columns = _columns(panel.courses, groups)
    for index, (course, column) in enumerate(zip(panel.courses, columns, strict=True)):
        _cases(axes, course, index, floor, column)
    # The axis has a category for each number of steps: on a numeric axis, spread cases would cover other numbers.
    between, rotation = ("\nby ", 0) if len(groups) <= UPRIGHT else (" by ", 90)
    shown = range(0, len(groups), -(-len(groups) // MOST_LABELS))
    axes.set_xticks(shown, [between.join(map(str, groups[place])) for place in shown], rotation=rotation)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_xlabel("steps of a case" if len(groups[0]) == 1 else "steps of a case, by those of a chunk")


def _groups(panel: Panel) -> list[Place]:
    """Return the different places of the cases, in their order on the axis."""
    return sorted({place for course in panel.courses for place in course.places})


def _columns(courses: Sequence[Course], groups: Sequence[Place]) -> list[list[float]]:
    """Return the position of each case of each course: spread around its group at equal distances."""
    counts = {group: max(course.places.count(group) for course in courses) for group in groups}
    apart = WIDTH / (max(counts.values()) * len(courses))
    columns = []
    for index, course in enumerate(courses):
        column = []
        for position, place in enumerate(course.places):
            number = course.places[:position].count(place) * len(courses) + index
            middle = (counts[place] * len(courses) - 1) / 2
            column.append(groups.index(place) + apart * (number - middle))
        columns.append(column)
    return columns


def _floor(panel: Panel) -> float:
    """Return the value at which an error of 0 is drawn, below all other values."""
    values = [value for course in panel.courses for value in (*course.errors, *course.budgets) if value > 0]
    return min(values, default=1.0) / 2


def _lines(axes: Axes, course: Course, index: int, floor: float) -> None:
    steps = [step for (step,) in course.places]
    errors = [max(error, floor) for error in course.errors]
    axes.plot(steps, errors, color=colour(2 * index), linewidth=1.2, label=f"error, {course.provider}")
    budgets = [max(budget, floor) for budget in course.budgets]
    axes.plot(steps, budgets, color=ORANGE, linestyle=dash(1 + index), label=f"budget, {course.provider}")


def _cases(axes: Axes, course: Course, index: int, floor: float, column: Sequence[float]) -> None:
    errors, budgets = ([max(value, floor) for value in values] for values in (course.errors, course.budgets))
    shade = colour(2 * index)
    axes.vlines(column, errors, budgets, color=shade, linewidth=0.8, alpha=0.5)
    axes.plot(column, errors, mark(index), color=shade, markersize=4, label=f"error, {course.provider}")
    axes.plot(column, budgets, "_", color=ORANGE, markersize=8, markeredgewidth=2, label=f"budget, {course.provider}")
