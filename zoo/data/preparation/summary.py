"""What was read of a table of series, in words: for the build, its dry run, and the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.data.preparation.columns import Columns
from zoo.data.preparation.form import Feature, TableForm
from zoo.data.preparation.parts import Divided
from zoo.data.preparation.series import OneSeries

__all__ = ["Summary", "describe"]

_LISTED = 12
"""Largest number of names that a sentence lists."""


@dataclass(frozen=True)
class Summary:
    """What became of the rows and columns of a table."""

    series: Sequence[OneSeries]
    past: Sequence[int]
    """Number of steps of each up to the last with targets."""
    divided: Sequence[Divided]
    left_out: Mapping[str, str]
    """Columns that are not used, each with the reason."""


def describe(name: str, columns: Columns, form: TableForm, summary: Summary, split: str) -> str:
    """Return sentences on the file, its dates, parts, windows, features, gaps, and what was left out.

    Args:
        name: of the data.
        columns: those of the table.
        form: the fitted form.
        summary: what became of rows and columns.
        split: ``time`` or ``groups``.
    """
    dates = [each.dates for each in summary.series if each.dates is not None]
    ends = [min(each[0] for each in dates), max(each[-1] for each in dates)] if dates else []
    when = " from {} to {}".format(*(str(end.item()).removesuffix(" 00:00:00") for end in ends)) if ends else ""
    counts = [sum(len(each.parts[number]) for each in summary.divided) for number in range(3)]
    rows = f"{counts[0]:,} rows for training, {counts[1]:,} for validation, {counts[2]:,} for testing"
    if form.group is None:
        order = f"in the order of time: {rows}"
    elif split == "time":
        order = f"{len(summary.divided):,} series by {form.group!r}, each divided in the order of time: {rows}"
    else:
        numbers = [sum(bool(each.parts[number]) for each in summary.divided) for number in range(3)]
        shares = "{:,} for training, {:,} for validation, {:,} for testing".format(*numbers)
        order = f"{sum(numbers):,} whole series by {form.group!r}: {shares}; {rows}"
    target_rows = f"the rows after it (horizon {form.horizon:,})" if form.horizon else "its last row"
    return " ".join(
        filter(
            None,
            [
                f"{name} ({columns.table.summary}){when}, {order}.",
                _gaps(columns, form, summary),
                f"Each sequence is a window of {form.window:,} rows; its targets are those of {target_rows}.",
                f"Features: {_listed([_feature(feature) for feature in form.features])}; "
                f"targets: {_listed(list(form.targets))}.",
                _left_out(summary),
            ],
        )
    )


def _feature(feature: Feature) -> str:
    if feature.kind == "category":
        names = f"{len(feature.categories):,} categories" if len(feature.categories) > 1 else "1 category"
        return f"{feature.name} ({names})"
    if feature.offset:
        return f"{feature.name} (less {feature.offset:.15g}, since float32 has too few digits)"
    return feature.name


def _gaps(columns: Columns, form: TableForm, summary: Summary) -> str:
    """Return how many cells and rows were missing and what they hold; empty where none were."""
    numbers = list(dict.fromkeys([*(each.column for each in form.features if each.kind == "number"), *form.targets]))
    cells = rows = 0
    for each in summary.divided:
        own = int(np.searchsorted(each.series.steps, each.past))  # rows of the past
        rows += each.past - own
        cells += sum(int(np.isnan(each.series.pick(columns.numbers(name))[:own]).sum()) for name in numbers)
    if not cells and not rows:
        return ""
    filling = {
        "previous": "Gaps hold the number before",
        "interpolate": "Gaps are interpolated",
        "mask": "Gaps hold the number before, beside a feature that marks them",
        "refuse": "",
    }
    counts = [
        f"{count:,} missing {what}{'s' * (count != 1)}" for count, what in ((cells, "cell"), (rows, "row")) if count
    ]
    return f"{filling[form.missing]} ({' and '.join(counts)})."


def _left_out(summary: Summary) -> str:
    """Return which columns, series and rows are not used, and why; empty where all are."""
    parts = []
    if summary.left_out:
        parts.append(_listed([f"{name} ({reason})" for name, reason in summary.left_out.items()]))
    kept = {each.series.name for each in summary.divided}
    if short := [each.name for each in summary.series if each.name not in kept]:
        parts.append(f"{len(short):,} series that are too short or in no part: {_listed(short)}")
    if future := sum(len(each) - past for each, past in zip(summary.series, summary.past, strict=True)):
        parts.append(f"{future:,} rows after the last targets of their series")
    return f"Left out: {'; '.join(parts)}." if parts else ""


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED])}{more}"
