"""What is suspect in a data set, by rules with the limits below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from zoo.data.resolution import RESOLUTION
from zoo.data.tokens import UNKNOWN
from zoo.jobs.data_columns import PARTS, Column
from zoo.jobs.data_contents import Shares
from zoo.run.model_card import repeated_sentence

SHIFT = 1.0
"""Distance of the mean of the test part from that of the training part, in standard deviations of the training part,
from which the two differ too much."""
OUTSIDE = 0.1
"""Share of the test part outside the range of the training part from which the two differ too much."""
DISTANCE = 0.2
"""Total variation distance between the classes, or the categories, of two parts from which they differ too much: half
the sum of the differences of their shares, the share that would have to change its class."""
EXPECTED = 3.0
"""How many times the distance must also exceed the largest that chance gives on average: the root of classes / (2 pi n)
for n sequences in the smaller part, from the mean absolute deviation of normally distributed counts."""
MAJORITY = 0.9
"""Share of the most frequent class from which the classes are imbalanced."""
RATIO = 50
"""How many times the most frequent class may outnumber the rarest."""
UNKNOWNS = 0.05
"""Share of unknown values of a part, tokens or categories, that is too much."""
_LISTED = 6
"""Largest number of names in a warning."""


def column_warnings(columns: Sequence[Column], kind: str) -> list[str]:
    """Return the warnings on features or targets.

    Args:
        columns: all features, or all targets.
        kind: ``feature`` or ``target``.
    """
    constant = [column.name for column in columns if column.constant]
    numbers = [column for column in columns if column.kind == "number" and not column.constant]
    missing = [column.name for column in columns if any(part.missing for part in column.parts.values())]
    rules = [
        (constant, "constant in the training part, so that nothing can be learnt"),
        (missing if kind == "feature" else [], "not finite at a step; replace such values"),
        (
            [column.name for column in numbers if _coarse(column)],
            "without enough digits in float32: subtract an offset, in float64, before it becomes float32",
        ),
        (
            [f"{column.name} ({_shift(column)})" for column in numbers if _shift(column)],
            "different in the test part",
        ),
        (
            [f"{column.name} ({share:.0%})" for column in columns if (share := _unknown(column)) > UNKNOWNS],
            "a category with many unknown values in the test part",
        ),
        (
            [column.name for column in columns if column.kind == "category" and _moved(column.categories)],
            "distributed differently over its categories in the test part",
        ),
    ]
    return [f"{_listed(kind, names)}: {text}" for names, text in rules if names]


def _coarse(column: Column) -> bool:
    """Return whether float32 rounds a number by more than `RESOLUTION` of the standard deviation."""
    train = column.parts["train"]
    largest = np.float32(max(abs(train.minimum), abs(train.maximum)))
    return float(np.spacing(largest)) / 2 > RESOLUTION * train.deviation


def _shift(column: Column) -> str:
    """Return how the numbers of the test part differ from those of the training part; empty where not too much."""
    train, test = column.parts["train"], column.parts["test"]
    if not train.deviation:
        return ""
    distance = (test.mean - train.mean) / train.deviation
    if abs(distance) > SHIFT:
        return f"mean {test.mean:.4g} instead of {train.mean:.4g}, {abs(distance):.1f} standard deviations away"
    return f"{test.outside:.0%} outside the training part's range" if test.outside > OUTSIDE else ""


def _unknown(column: Column) -> float:
    """Return the share of unknown categories in the test part; 0 for numbers."""
    if column.kind == "number":
        return 0.0
    unknown = column.unknown["test"]
    return unknown / max(1, unknown + sum(counts["test"] for counts in column.categories.values()))


def class_warnings(classes: Shares) -> Iterator[str]:
    """Yield the warnings on the classes of the targets."""
    for part in PARTS:
        if absent := [repr(name) for name in classes.counts if not classes.counts[name][part]]:
            yield f"{_listed('class', absent)}: missing in the {_WORDS[part]} part"
    names = [name for name in classes.counts if classes.counts[name]["train"]]
    if not names or not classes.exclusive:
        return
    ordered = sorted(names, key=lambda name: classes.counts[name]["train"])
    rarest, largest = ordered[0], ordered[-1]
    ratio = classes.counts[largest]["train"] / classes.counts[rarest]["train"]
    share = classes.share(largest, "train")
    if share > MAJORITY or ratio > RATIO:
        yield (
            f"class {largest!r}: has {share:.1%} of the training {classes.unit}, {ratio:,.0f} times as many as "
            f"{rarest!r}; compare by balanced accuracy or macro F1, and consider task.class_weights"
        )
    if _moved(classes.counts):
        yield "classes: the shares in the test part differ from those in the training part"


def _moved(counts: Mapping[str, Mapping[str, int]]) -> bool:
    """Return whether the shares in the test part differ from those in the training part too much, and not by chance."""
    train, test = (np.array([each[part] for each in counts.values()], float) for part in ("train", "test"))
    smaller = min(train.sum(), test.sum())
    if not smaller:
        return False
    distance = 0.5 * float(np.abs(train / train.sum() - test / test.sum()).sum())
    by_chance = float(np.sqrt(len(counts) / (2 * np.pi * smaller)))
    return distance > max(DISTANCE, EXPECTED * by_chance)


def token_warnings(tokens: Shares) -> Iterator[str]:
    """Yield the warnings on the tokens of the inputs."""
    if UNKNOWN in tokens.counts and (share := tokens.share(UNKNOWN, "test")) > UNKNOWNS:
        yield f"tokens: {share:.0%} of the test part are unknown words; more texts, or subwords, would leave fewer"


def repeated_warnings(repeated: Mapping[str, int], sizes: Mapping[str, int]) -> Iterator[str]:
    """Yield a warning on sequences that occur in two parts.

    Args:
        repeated: see `zoo.Dataset.repeated`.
        sizes: sequences of each part.
    """
    if any(repeated.values()):
        yield f"{repeated_sentence(repeated, sizes)}: a model may have memorised them"


_WORDS = {"train": "training", "validation": "validation", "test": "test"}


def _listed(kind: str, names: Sequence[str]) -> str:
    """Return names after their kind, in the plural where there are several."""
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    plural = {"class": "classes"}.get(kind, f"{kind}s") if len(names) > 1 else kind
    return f"{plural} {', '.join(names[:_LISTED])}{more}"
