"""The picture of a data set shows each part: series over time, shares of classes and tokens, lengths and numbers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Rectangle, StepPatch

import zoo
from zoo.data.dataset import Split
from zoo.data.signature import Signature
from zoo.plots.data import COLOUR, LONGEST_LABEL, MOST_CLASSES, MOST_COLUMNS, PARTS, data_figure

GRU = {"architecture": {"name": "gru", "hidden_size": 2}}
RANDOM = np.random.default_rng(0)


def look(data: zoo.Dataset, task: str) -> zoo.DataReport:
    return zoo.inspect_data({**GRU, "task": {"name": task}}, data=data)


def panels(figure: Figure) -> dict[str, list[Axes]]:
    """Return the drawn axes below each heading."""
    return {
        part.get_suptitle(): [axes for axes in part.axes if axes.axison]
        for part in figure.subfigs
        if part.get_suptitle()
    }


def series(windows: int = 200, features: int = 1, **signature: Any) -> zoo.Dataset:
    """Windows in the order of time, with the number after each."""
    rows = torch.as_tensor(RANDOM.normal(size=(windows + 5, features)).astype(np.float32))
    x = rows.unfold(0, 5, 1).transpose(1, 2)[:windows].contiguous()
    if categories := signature.get("categories"):
        x[..., -1] = (torch.arange(windows) % len(categories[-1]))[:, None] + 1
    y = rows[5:, :1, None]
    ends = [0, windows // 2, windows * 3 // 4, windows]
    train, validation, test = (Split(x[a:b], y[a:b]) for a, b in pairwise(ends))
    fields = {"targets": ("sales",), "horizon": 1, "ordered": True, **signature}
    return zoo.Dataset(train, validation, test, Signature(features=features, **fields), "")


def test_a_series_is_drawn_over_time_with_its_parts_shaded() -> None:
    data = series()
    figure = data_figure(look(data, "forecasting"))
    drawn = panels(figure)
    assert list(drawn) == ["targets, in the order of time", "features: share of the values"]
    (axes,) = drawn["targets, in the order of time"]
    assert axes.get_title(loc="left") == "sales"
    ends = [
        (patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches if isinstance(patch, Rectangle)
    ]
    assert ends == [(0, 100), (100, 150), (150, 200)]
    for line, part in zip(axes.lines, PARTS, strict=True):
        assert line.get_color() == COLOUR[part]
        assert np.array_equal(np.asarray(line.get_ydata()), getattr(data, part).y[:, 0, 0].numpy())
    legend = [text.get_text() for part in figure.subfigs for legend in part.legends for text in legend.get_texts()]
    assert legend == ["training: 100 sequences", "validation: 50 sequences", "test: 50 sequences"]


def test_a_long_series_has_a_part_of_its_points() -> None:
    (axes,) = panels(data_figure(look(series(9_000), "forecasting")))["targets, in the order of time"]
    assert axes.get_title(loc="left") == "sales, 1 step in 3"
    assert sum(len(np.asarray(line.get_xdata())) for line in axes.lines) == 3_000


def test_each_series_of_many_has_its_axes() -> None:
    data = series(features=2, categories=((), ("north", "south")), group=1, ordered=False)
    drawn = panels(data_figure(look(data, "forecasting")))["targets, in the order of time"]
    assert [axes.get_title(loc="left") for axes in drawn] == ["sales, north", "sales, south"]
    expected = data.train.y[1::2, 0, 0].numpy()
    assert np.array_equal(np.asarray(drawn[1].lines[0].get_ydata()), expected)


def test_histograms_are_shares_of_each_part() -> None:
    x = (torch.as_tensor(RANDOM.normal(size=(number, 4, MOST_COLUMNS + 2))).float() for number in (60, 30, 10))
    train, validation, test = (Split(part, part[:, 0, :1]) for part in x)
    names = ("$a_b$", "a name that is much too long", *map(str, range(MOST_COLUMNS)))
    data = zoo.Dataset(train, validation, test, Signature(features=len(names), columns=names, targets=("y",)), "")
    report = look(data, "regression")
    drawn = panels(data_figure(report))
    assert list(drawn) == [
        "targets: share of the values",
        f"features: share of the values, the first {MOST_COLUMNS} of {len(names)}",
    ]
    first, second, *_ = drawn[list(drawn)[1]]
    assert first.get_title() == "$a_b$"
    assert len(second.get_title()) == LONGEST_LABEL
    for stairs, part in zip(first.patches, PARTS, strict=True):
        assert isinstance(stairs, StepPatch)
        counts = np.array(report.features[0].parts[part].histogram)
        assert stairs.get_data()[0] == pytest.approx(counts / counts.sum())


def test_classes_have_a_bar_for_each_part_and_an_example() -> None:
    x = [RANDOM.normal(size=(3 + number % 4, 2)) for number in range(60)]
    report = look(zoo.Dataset.from_arrays(x, ["a" if number % 3 else "$b_$" for number in range(60)]), "classification")
    drawn = panels(data_figure(report))
    assert list(drawn) == [
        "classes: share of the sequences",
        "lengths: share of the sequences, by steps",
        "features: share of the values",
        "the first training sequence of a class: features as lines, by step",
    ]
    (axes,) = drawn["classes: share of the sequences"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["$b_$", "a"]
    heights = [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)]
    assert report.classes is not None
    assert heights == [report.classes.share(name, part) for part in PARTS for name in ("$b_$", "a")]
    examples = drawn["the first training sequence of a class: features as lines, by step"]
    assert [axes.get_title() for axes in examples] == ["$b_$", "a"]
    train = report.dataset.train
    assert train.lengths is not None
    row = int(np.flatnonzero(train.y.numpy() == 0)[0])
    expected = train.x[row, : int(train.lengths[row]), 1].numpy()
    assert np.array_equal(np.asarray(examples[0].lines[1].get_ydata()), expected)


def test_many_classes_and_tokens_are_the_most_frequent() -> None:
    labels = tuple(f"class {number}" for number in range(MOST_CLASSES + 5))
    y = torch.cat([torch.arange(len(labels)), torch.full((9,), 24)])
    tokens = torch.as_tensor(RANDOM.integers(0, 50, (len(y), 6)))
    split = Split(tokens, y)
    signature = Signature(vocabulary=tuple(map(chr, range(20, 70))), labels=labels)
    drawn = panels(data_figure(look(zoo.Dataset(split, split, split, signature, ""), "classification")))
    first, second = drawn
    assert first == "classes: share of the sequences, the 20 most frequent of 25"
    assert second == "tokens: share of the steps, the 20 most frequent of 50"
    assert drawn[first][0].get_xticklabels()[0].get_text() == "class 24"


def test_constant_numbers_single_steps_and_missing_targets_are_drawn(tmp_path: Path) -> None:
    x = torch.ones(8, 1, 1)
    split = Split(x, torch.arange(8) % 2)
    nothing = zoo.Dataset(split, split, split, Signature(features=1, labels=("a", "b")), "")
    assert imread(look(nothing, "classification").draw(tmp_path / "one.png")).std() > 0
    y = torch.zeros(8, 3, 1)
    y[:, 0] = torch.nan
    signature = Signature(features=1, targets=("y",), by_step=True)
    split = Split(x.expand(8, 3, 1), y)
    by_step = zoo.Dataset(split, split, split, signature, "")
    assert imread(look(by_step, "step_regression").draw(tmp_path / "two.png")).std() > 0


def test_a_file_is_a_png_or_an_svg_and_always_the_same(tmp_path: Path) -> None:
    report = look(series(), "forecasting")
    assert report.picture().png == report.draw(tmp_path / "a.png").read_bytes()
    svg = report.draw(tmp_path / "a.svg").read_text()
    assert "<svg" in svg
    assert report.draw(tmp_path / "b.svg").read_text() == svg
