"""A look at the data of a spec without training: what was read, its numbers, classes and lengths, what is suspect.

It needs no more of a data source than its `zoo.Dataset`. Where the data are large, a few sequences at a time are
converted to float64; nothing is copied as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from zoo.data.dataset import Dataset
from zoo.jobs.build import load_data
from zoo.jobs.data_columns import PARTS, Column, category_columns, chunks, number_columns, steps_of, targets_of
from zoo.jobs.data_contents import (
    Lengths,
    Shares,
    classes_of,
    feature_names,
    lengths_of,
    memory_of,
    repeated_in,
    tokens_of,
)
from zoo.jobs.data_warnings import class_warnings, column_warnings, repeated_warnings, token_warnings
from zoo.plots.picture import Picture
from zoo.plugins.registry import Registry
from zoo.progress import Progress, silent
from zoo.run.baselines import compared_metric, naive_metrics
from zoo.spec.spec import Spec, part_name
from zoo.tasks.task import Task
from zoo.training.engine import chosen_metric


@dataclass(frozen=True)
class DataReport:
    """What the data of a spec contain, part by part (``train``, ``validation``, ``test``), and what is suspect."""

    source: str
    """Name of the data source."""
    task: str
    """Name of the task."""
    description: str
    """What was read, what was left out, and how it was divided, in the words of the source."""
    sizes: Mapping[str, int]
    """Sequences of each part."""
    memory: int
    """Bytes of all tensors; windows that share their rows count once."""
    lengths: Mapping[str, Lengths]
    """Steps of the sequences of each part."""
    length_edges: tuple[float, ...]
    """Edges of the bins of the histograms of lengths."""
    features: tuple[Column, ...]
    """The features; empty for tokens."""
    tokens: Shares | None
    """The tokens; None for numbers."""
    targets: tuple[Column, ...]
    """The targets that are numbers; empty for classes."""
    classes: Shares | None
    """The classes or labels of the targets; None for numbers, and where the targets are tokens of the input."""
    repeated: Mapping[str, int]
    """For ``validation`` and ``test``, the number of their sequences that the training part contains too."""
    metric: str
    """The metric that results of this spec are compared by."""
    baselines: Mapping[str, Mapping[str, float]]
    """Metrics of naive predictors on the test part, by predictor and name: what a model has to beat."""
    warnings: tuple[str, ...]
    """What is suspect, a line each."""
    dataset: Dataset = field(repr=False, compare=False)
    """The data themselves; not part of `to_dict`."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values for JSON."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self) if each.name != "dataset"}

    def picture(self, *, dpi: int = 130) -> Picture:
        """Return the picture of the data, which a notebook shows.

        Args:
            dpi: pixels an inch.
        """
        from zoo.plots.data import data_figure  # matplotlib is slow to import
        from zoo.plots.style import rendered

        return Picture(rendered(data_figure(self), dpi))

    def draw(self, path: str | Path) -> Path:
        """Write the picture of the data to a file, and return its path.

        Args:
            path: the file, a PNG, or an SVG where the name ends in .svg; one that exists is replaced.

        Raises:
            RunError: the file cannot be written.
        """
        from zoo.plots.data import data_figure
        from zoo.plots.style import save

        save(data_figure(self), Path(path))
        return Path(path)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def run_data(spec: Spec, registry: Registry, dataset: Dataset | None = None, progress: Progress = silent) -> DataReport:
    """Load the data of a spec and return what they contain.

    Args:
        spec: a validated spec, whose data, task and metric are used.
        registry: gives the data source and the task.
        dataset: the data that a program gives in place of the spec's source; None to load them.
        progress: receives the steps of the work.

    Raises:
        DataError: the data cannot be read.
        SpecError: the options do not fit each other.
    """
    progress("reading the data")
    data, task = load_data(spec, registry, dataset)
    signature = data.signature
    features, targets = _columns(data, progress)
    progress("counting")
    sizes = {part: len(getattr(data, part)) for part in PARTS}
    lengths, edges = lengths_of(data)
    classes, tokens, repeated = classes_of(data), tokens_of(data), repeated_in(data)
    progress("evaluating naive predictors")
    warnings = [*column_warnings(features, "feature"), *column_warnings(targets, "target")]
    warnings += [] if classes is None else class_warnings(classes)
    warnings += [] if tokens is None else token_warnings(tokens)
    return DataReport(
        source=part_name(spec.data),
        task=part_name(spec.task),
        description=data.description,
        sizes=sizes,
        memory=memory_of(data),
        lengths=lengths,
        length_edges=edges,
        features=features,
        tokens=tokens,
        targets=targets if signature.targets else (),
        classes=classes,
        repeated=repeated,
        metric=_compared(task, spec),
        baselines=naive_metrics(task, data.train, data.test),
        warnings=(*warnings, *repeated_warnings(repeated, sizes)),
        dataset=data,
    )


def _compared(task: Task, spec: Spec) -> str:
    return compared_metric(chosen_metric(task, spec.training), task.better)


def _columns(data: Dataset, progress: Progress) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """Return the features and the targets that are numbers."""
    signature, names = data.signature, feature_names(data.signature)
    categories = {index: labels for index, labels in enumerate(signature.categories) if labels}
    passes = 2 * bool(names) + 2 * bool(signature.targets) + bool(categories)
    tick = _counter(progress, passes * sum(1 for part in PARTS for _ in chunks(getattr(data, part))))
    features = number_columns(data, steps_of, names, signature.input_scale, tick) if names else []
    counted = category_columns(data, categories, names, tick)
    targets = []
    if signature.targets:
        targets = number_columns(data, targets_of, signature.targets, signature.target_scale, tick)
    return tuple(counted.get(index, column) for index, column in enumerate(features)), tuple(targets)


def _counter(progress: Progress, total: int) -> Callable[[], None]:
    """Return a function that reports another chunk of ``total``."""
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        progress("reading the numbers", done / total)

    return tick
