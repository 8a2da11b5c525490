"""The picture of a proof: how far an exported file is off, and how far it may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.plots.style import ORANGE, colour, dash, mark, save

WIDTH = 0.8
"""Of the room of one number of steps, the share over which its cases are spread."""

Place = tuple[int, ...]
"""Where an error belongs: (step,), or of a case (its steps,), or (its steps, those of a chunk) where it is a stream."""


@dataclass(frozen=True)
class Course:
    """Errors of one output on one provider and what they may be, all of one length and in the order of the steps."""

    provider: str
    places: Sequence[Place]
    errors: Sequence[float]
    budgets: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """One output."""

    output: str
    courses: Sequence[Course]
    of_steps: bool
    """Whether it shows each step of one case; else each case, above its number of steps."""


def plot_parity(panels: Sequence[Panel], path: Path) -> None:
    """Error and budget against steps, one output above the other; errors on a logarithmic axis.

    Lines where the steps are those of one case, and then the steps' axis is logarithmic too. Cases stand side by side
    above their number of steps, or of steps and chunk: a mark at the error, and a bar at its budget. An error of 0 is
    drawn at the lower edge.
    """
    figure = Figure(figsize=(4.2, 0.6 + 2.3 * len(panels)), layout="constrained")
    drawn = figure.subplots(len(panels), squeeze=False)[:, 0]
    for axes, panel in zip(drawn, panels, strict=True):
        draw_panel(axes, panel)
        axes.set_title(panel.output, size=10, loc="left", parse_math=False)
        axes.tick_params(labelsize=9)
        axes.grid(alpha=0.3)
    known = {label: line for axes in drawn for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(known.values()), list(known), loc="outside lower center", ncols=2, fontsize=9)
    save(figure, path)


def draw_panel(axes: Axes, panel: Panel) -> None:
    """One output's errors and budgets."""
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
    groups = sorted({place for course in panel.courses for place in course.places})
    columns = _columns(panel.courses, groups)
    for index, (course, column) in enumerate(zip(panel.courses, columns, strict=True)):
        _cases(axes, course, index, floor, column)
    # A number of steps is a name here: on an axis of numbers, cases side by side would stand at other numbers.
    axes.set_xticks(range(len(groups)), ["\nby ".join(map(str, group)) for group in groups])
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_xlabel("steps of a case" if len(groups[0]) == 1 else "steps of a case, by those of a chunk")


def _columns(courses: Sequence[Course], groups: Sequence[Place]) -> list[list[float]]:
    """Where each case of each course stands: around its group's number, no two at one place and all equally apart."""
    counts = {group: max(course.places.count(group) for course in courses) for group in groups}
    apart = WIDTH / (max(counts.values()) * len(courses))
    columns = []
    for index, course in enumerate(courses):
        column = []
        for at, place in enumerate(course.places):
            number = course.places[:at].count(place) * len(courses) + index
            middle = (counts[place] * len(courses) - 1) / 2
            column.append(groups.index(place) + apart * (number - middle))
        columns.append(column)
    return columns


def _floor(panel: Panel) -> float:
    """Where an error of 0 is drawn: below every other."""
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
    own = colour(2 * index)
    axes.vlines(column, errors, budgets, color=own, linewidth=0.8, alpha=0.5)
    axes.plot(column, errors, mark(index), color=own, markersize=4, label=f"error, {course.provider}")
    axes.plot(column, budgets, "_", color=ORANGE, markersize=8, markeredgewidth=2, label=f"budget, {course.provider}")
