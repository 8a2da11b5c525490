"""Picture of ``zoo data``: what the parts of a data set contain, before any training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from zoo.parity import Array
from zoo.plots.style import COLOURS, shortened

if TYPE_CHECKING:
    from zoo.jobs.data import DataReport
    from zoo.jobs.data_columns import Column
    from zoo.jobs.data_contents import Shares

PARTS = {"train": "training", "validation": "validation", "test": "test"}
"""The parts by their names in a report, with the names in the legend."""
COLOUR = dict(zip(PARTS, (COLOURS[0], COLOURS[4], COLOURS[1]), strict=True))
WIDTH = 9.0
"""Inches."""
COLUMNS = 4
"""Small panels beside each other."""
MOST_COLUMNS = 12
"""Features, and targets, whose histograms are drawn: the first ones."""
MOST_TARGETS = 3
"""Targets that are drawn over time: the first ones."""
MOST_SERIES = 6
"""Series that are drawn of each target: the first ones."""
MOST_STEPS = 4_000
"""Points of a line at most; where there are more steps, only every second, third and so on is drawn."""
MOST_CLASSES = 20
"""Classes, and tokens, that have bars: the most frequent ones."""
MOST_CATEGORIES = 10
"""Categories of a feature that have bars: the first ones."""
EXAMPLES = 8
"""Classes of which a sequence is drawn: the first ones."""
LONGEST_LABEL = 18
"""Characters of a name; a longer one is cut."""
LETTERS = 14
"""Characters of a name in an inch."""
LINES = (COLOURS[2], COLOURS[3], COLOURS[5], COLOURS[6])
"""Colours of the features of a sequence, none of them that of a part."""
AS_LINES = len(LINES)
"""Features up to which a sequence is drawn as lines, and as a heat map from there."""


class Panel(NamedTuple):
    """A part of the picture below a heading."""

    title: str
    height: float
    """Inches."""
    draw: Callable[[SubFigure], None]


def data_figure(report: DataReport) -> Figure:
    """Draw the contents of a data set, the parts in three colours.

    Series are drawn over time, classes and tokens as bars, lengths and numbers as histograms, and for classes of
    sequences of numbers a sequence of each class.

    Args:
        report: a look at the data.
    """
    panels = _panels(report)
    figure = Figure(figsize=(WIDTH, 0.9 + sum(panel.height for panel in panels)), layout="constrained")
    heights = [0.5, *(panel.height for panel in panels)]
    top, *rest = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    sizes = [f"{PARTS[part]}: {size:,} sequences" for part, size in report.sizes.items()]
    handles = [Rectangle((0, 0), 1, 1, color=COLOUR[part]) for part in PARTS]
    top.legend(handles, sizes, loc="center", ncols=len(PARTS), frameon=False, fontsize=9)
    for panel, place in zip(panels, rest, strict=True):
        place.suptitle(panel.title, size=10, x=0.01, ha="left", parse_math=False)
        panel.draw(place)
    return figure


def _panels(report: DataReport) -> list[Panel]:
    """Return what is drawn of a data set, from the top."""
    panels = []
    series = _series(report)
    if series:
        panels.append(_over_time(series))
    if report.classes is not None:
        panels.append(_bars("classes", report.classes))
    if len(report.length_edges) > 2:
        panels.append(Panel("lengths: share of the sequences, by steps", 1.7, lambda place: _lengths(place, report)))
    if report.tokens is not None:
        panels.append(_bars("tokens", report.tokens))
    if report.targets and not series:
        panels.append(_histograms("targets", report.targets))
    if report.features:
        panels.append(_histograms("features", report.features))
    if examples := _examples(report):
        panels.append(_sequences(examples))
    return panels


def _series(report: DataReport) -> dict[str, dict[str, Array]]:
    """Return the targets over time: name of the target or series -> part -> (n,); empty where they have no order.

    Of a forecast, it is the target one step ahead.
    """
    signature, data = report.dataset.signature, report.dataset
    if not signature.targets or signature.by_step:
        return {}
    values = {part: getattr(data, part).y.numpy() for part in PARTS}
    first = {part: y[:, 0] if signature.horizon else y for part, y in values.items()}
    if signature.group is not None:
        ids = {part: getattr(data, part).x[:, 0, signature.group].numpy() for part in PARTS}
        names = signature.categories[signature.group][:MOST_SERIES]
        target = signature.targets[0]
        return {
            f"{target}, {name}": {part: first[part][ids[part] == number, 0] for part in PARTS}
            for number, name in enumerate(names, 1)
        }
    if not signature.ordered:
        return {}
    return {
        name: {part: first[part][:, index] for part in PARTS}
        for index, name in enumerate(signature.targets[:MOST_TARGETS])
    }


def _over_time(series: Mapping[str, Mapping[str, Array]]) -> Panel:
    def draw(place: SubFigure) -> None:
        for axes, (name, parts) in zip(
            place.subplots(len(series), 1, squeeze=False)[:, 0], series.items(), strict=True
        ):
            every = max(1, -(-sum(map(len, parts.values())) // MOST_STEPS))
            start = 0
            for part, values in parts.items():
                if len(values):
                    axes.axvspan(start, start + len(values), color=COLOUR[part], alpha=0.12, linewidth=0)
                    steps = np.arange(start, start + len(values), every)
                    axes.plot(steps, values[::every], color=COLOUR[part], linewidth=0.9)
                start += len(values)
            thinned = f", 1 step in {every}" if every > 1 else ""
            axes.set_title(f"{name}{thinned}", size=8, loc="left", pad=2, parse_math=False)
            axes.set_xlim(0, max(1, start))
            _small(axes)
        axes.set_xlabel("sequence", size=8)

    return Panel("targets, in the order of time", 0.5 + 1.25 * len(series), draw)


def _bars(kind: str, shares: Shares) -> Panel:
    names = list(shares.counts)
    if len(names) > MOST_CLASSES or kind == "tokens":
        names = shares.most_frequent(MOST_CLASSES)
    of = f", the {len(names)} most frequent of {len(shares.counts):,}" if len(names) < len(shares.counts) else ""

    def draw(place: SubFigure) -> None:
        axes = place.subplots()
        _part_bars(axes, {name: {part: shares.share(name, part) for part in PARTS} for name in names}, WIDTH - 1)

    return Panel(f"{kind}: share of the {shares.unit}{of}", 2.2, draw)


def _part_bars(axes: Axes, shares: Mapping[str, Mapping[str, float]], inches: float) -> None:
    """Draw a bar for each part beside each other, for each name, on axes of a width in inches."""
    width = 0.8 / len(PARTS)
    for number, part in enumerate(PARTS):
        at = np.arange(len(shares)) + (number - (len(PARTS) - 1) / 2) * width
        axes.bar(at, [each[part] for each in shares.values()], width, color=COLOUR[part])
    names = [shortened(name, LONGEST_LABEL) for name in shares]
    turned = max(map(len, names)) + 1 > LETTERS * inches / len(names)
    axes.set_xticks(range(len(names)), names, rotation=90 if turned else 0, parse_math=False)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    _small(axes)
    axes.grid(visible=False, axis="x")


def _lengths(place: SubFigure, report: DataReport) -> None:
    axes = place.subplots()
    for part, lengths in report.lengths.items():
        counts = np.array(lengths.histogram)
        _stairs(axes, part, counts / max(1, counts.sum()), report.length_edges)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    _small(axes)


def _stairs(axes: Axes, part: str, shares: Array, edges: Sequence[float]) -> None:
    """Draw a histogram, that of the training part as an area and the others as lines."""
    training = part == "train"
    axes.stairs(shares, edges, fill=training, color=COLOUR[part], alpha=0.45 if training else 1, linewidth=1.1)


def _histograms(kind: str, columns: Sequence[Column]) -> Panel:
    shown = columns[:MOST_COLUMNS]
    of = f", the first {len(shown)} of {len(columns):,}" if len(shown) < len(columns) else ""
    rows = -(-len(shown) // COLUMNS)

    def draw(place: SubFigure) -> None:
        grid = place.subplots(rows, COLUMNS, squeeze=False).ravel()
        for axes in grid[len(shown) :]:
            axes.set_axis_off()
        for axes, column in zip(grid, shown, strict=False):
            axes.set_title(shortened(column.name, LONGEST_LABEL), size=8, pad=2, parse_math=False)
            if column.kind == "category":
                _part_bars(axes, _category_shares(column), WIDTH / COLUMNS - 0.6)
            else:
                for part, numbers in column.parts.items():
                    _stairs(axes, part, np.array(numbers.histogram) / max(1, numbers.count), column.edges)
                axes.xaxis.set_major_locator(MaxNLocator(3))
                axes.yaxis.set_major_formatter(PercentFormatter(1))
            axes.yaxis.set_major_locator(MaxNLocator(3))
            _small(axes)

    return Panel(f"{kind}: share of the values{of}", 0.35 + 1.35 * rows, draw)


def _category_shares(column: Column) -> dict[str, dict[str, float]]:
    counts = dict(column.categories)
    if any(column.unknown.values()):
        counts["unknown"] = column.unknown
    totals = {part: max(1, sum(each[part] for each in counts.values())) for part in PARTS}
    names = list(counts)[:MOST_CATEGORIES]
    return {name: {part: counts[name][part] / totals[part] for part in PARTS} for name in names}


def _examples(report: DataReport) -> dict[str, Array]:
    """Return the first training sequence of each class, (steps, features); empty where there is nothing to draw."""
    train, signature = report.dataset.train, report.dataset.signature
    if not signature.labels or signature.by_step or signature.multilabel or not signature.features:
        return {}
    examples = {}
    for number, name in enumerate(signature.labels[:EXAMPLES]):
        rows = np.flatnonzero(train.y.numpy() == number)
        if len(rows):
            row = train.take(slice(int(rows[0]), int(rows[0]) + 1))
            examples[name] = row.x[0].numpy()
    return examples if report.dataset.time > 1 else {}


def _sequences(examples: Mapping[str, Array]) -> Panel:
    rows = -(-len(examples) // COLUMNS)

    def draw(place: SubFigure) -> None:
        grid = place.subplots(rows, COLUMNS, squeeze=False).ravel()
        for axes in grid[len(examples) :]:
            axes.set_axis_off()
        for axes, (name, values) in zip(grid, examples.items(), strict=False):
            axes.set_title(shortened(name, LONGEST_LABEL), size=8, pad=2, parse_math=False)
            if values.shape[1] <= AS_LINES:
                for index, course in enumerate(values.T):
                    axes.plot(np.arange(1, len(course) + 1), course, color=LINES[index], linewidth=0.9)
            else:
                edges = np.arange(len(values) + 1) + 0.5, np.arange(values.shape[1] + 1) - 0.5
                axes.pcolormesh(*edges, values.T, cmap="Blues")
                axes.invert_yaxis()  # the first feature on top, as in a table
            axes.xaxis.set_major_locator(MaxNLocator(3, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(3))
            axes.tick_params(labelsize=7)

    few = next(iter(examples.values())).shape[1] <= AS_LINES
    what = "features as lines" if few else "a row for each feature"
    return Panel(f"the first training sequence of a class: {what}, by step", 0.35 + 1.35 * rows, draw)


def _small(axes: Axes) -> None:
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
