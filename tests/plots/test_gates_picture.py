"""The picture of gates shows each value at its step, of any number of steps and units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from numpy.typing import NDArray

import zoo.plots.gates
from zoo.jobs.gates import Gates, Series
from zoo.plots.gates import MOST_STEPS, MOST_UNITS, plot_gates
from zoo.plots.style import save


def series_of(values: NDArray[Any], name: str = "f", direction: Any = "forward") -> Series:
    return Series(0, direction, "gate", name, values)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved, after their layout."""
    kept: list[Figure] = []

    def keep(figure: Figure, path: Path) -> None:
        save(figure, path)
        kept.append(figure)

    monkeypatch.setattr(zoo.plots.gates, "save", keep)
    return kept


def draw(
    folder: Path, series: Sequence[Series], *, tokens: Sequence[str] = (), features: int = 3, name: str = "a $run_"
) -> tuple[int, int]:
    """Draw a picture and return its height and width in pixels."""
    steps = len(series[0].values)
    inputs = np.linspace(-1, 1, steps * features, dtype=np.float32).reshape(steps, features)
    plot_gates(Gates("x.npy[2]", tuple(tokens), (), inputs, list(series), name), series, folder / "picture.png")
    height, width = imread(folder / "picture.png").shape[:2]
    return height, width


@pytest.mark.parametrize(("steps", "units"), [(1, 1), (1, 512), (28, 8), (200, 4), (200, 512), (2001, 5)])
def test_every_size_is_drawn(steps: int, units: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(-2, 2, (steps, units))
    height, width = draw(tmp_path, [series_of(values), series_of(values > 0, "open")], features=units)
    assert 600 < width < 1700
    assert 300 < height < 2000


def test_a_heat_map_has_a_row_for_each_unit_and_a_column_for_each_step(tmp_path: Path, figures: list[Figure]) -> None:
    values = np.random.default_rng(0).uniform(0, 1, (28, 8))
    draw(tmp_path, [series_of(values)])
    (mesh,) = figures[0].axes[2].collections
    assert np.array_equal(np.asarray(mesh.get_array()).reshape(8, 28), values.T)
    assert figures[0].axes[2].get_xlim() == (0.5, 28.5)
    assert figures[0].axes[3].get_ylim() == (0, 1)


def test_more_units_and_steps_than_fit_are_stated(tmp_path: Path, figures: list[Figure]) -> None:
    """The first units, and means over neighbouring steps; the last mean is over fewer."""
    steps, units = 2 * MOST_STEPS + 2, MOST_UNITS + 6
    values = np.random.default_rng(0).uniform(-3, 3, (steps, units))
    draw(tmp_path, [series_of(values, direction="reverse")])
    (mesh,) = figures[0].axes[2].collections
    columns = np.asarray(mesh.get_array()).reshape(MOST_UNITS, -1)
    assert columns.shape[1] == -(-steps // 3)
    assert columns[:, 0] == pytest.approx(values[:3, :MOST_UNITS].mean(0))
    assert columns[:, -1] == pytest.approx(values[steps // 3 * 3 :, :MOST_UNITS].mean(0))
    assert figures[0].axes[2].get_title(loc="left") == "gate f, units 0 to 63 of 70"
    heading = figures[0].get_suptitle().splitlines()
    assert heading == [
        "a $run_: x.npy[2]",
        "layer 0, reverse; reads from the last step to the first ←",
        "a column of a heat map is the mean of 3 steps",
    ]


def test_few_units_are_lines(tmp_path: Path, figures: list[Figure]) -> None:
    values = np.random.default_rng(0).uniform(-3, 3, (600, 2))
    draw(tmp_path, [series_of(values)])
    lines = figures[0].axes[2].lines
    assert [line.get_label() for line in lines] == ["unit 0", "unit 1"]
    assert np.array_equal(np.stack([np.asarray(line.get_ydata()) for line in lines]), values.T)
    assert np.asarray(lines[0].get_xdata()).tolist() == list(range(1, 601))


def labels(figure: Figure) -> list[str]:
    """Return the tokens above the first panel."""
    (above,) = figure.axes[0].child_axes
    return [label.get_text() for label in above.get_xticklabels()]


def test_tokens_are_above_their_steps(tmp_path: Path, figures: list[Figure]) -> None:
    text = "to be\nor $x_$\t"
    draw(tmp_path, [series_of(np.zeros((len(text), 5)))], tokens=text)
    assert "".join(labels(figures[0])) == "to␣be↵or␣$x_$⇥"
    draw(tmp_path, [series_of(np.zeros((200, 5)))], tokens="a" * 200)
    assert labels(figures[1]) == ["a"] * 200
    draw(tmp_path, [series_of(np.zeros((200, 5)))], tokens=["antidisestablishmentarianism", "is"] * 100)
    assert labels(figures[2]) == ["antidisesta…"] * 100
    (above,) = figures[2].axes[0].child_axes
    assert above.get_xlabel() == "tokens of 1 step in 2"


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    values = np.zeros((801, 5))
    values[3], values[4], values[700:] = np.inf, -np.inf, np.nan
    draw(tmp_path, [series_of(values), series_of(np.full((801, 5), np.nan)), series_of(values[:, :2])])
