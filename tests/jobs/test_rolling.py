"""Metrics of an evaluation over the windows of series: distributions, and scales of groups."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, mean_squared_error

import zoo
from zoo.data.preparation.predicting import Evaluation
from zoo.jobs.rolling import Rolling
from zoo.runtime.answers import Answer, Prediction

RANDOM = np.random.RandomState(0)
SHARES = ("0.1", "0.5", "0.9")
GROUPS = RANDOM.randint(0, 3, 7)
Y = RANDOM.normal(5, 2, (7, 2, 1))
QUANTILES = np.sort(RANDOM.normal(5, 2, (3, 7, 2, 1)), 0)
SCALES = (zoo.Scale((1.0,), (2.0,)), zoo.Scale((0.0,), (4.0,)))
SIGNATURE = zoo.Signature(
    features=1,
    categories=(("a", "b"),),
    group=0,
    targets=("load",),
    target_scale=zoo.Scale((0.0,), (3.0,)),
    target_scales=SCALES,
    horizon=2,
)


def answer(step: int, values: NDArray[np.float64], spread: bool) -> Answer:
    """Return the answer with three quantiles (3, 1), or with a spread of 1."""
    numbers = {"load": float(values[1, 0])}
    if spread:
        return Answer(step, numbers=numbers, spread={"load": 1.0})
    quantiles = {share: float(value) for share, value in zip(SHARES, values[:, 0], strict=True)}
    return Answer(step, numbers=numbers, quantiles={"load": quantiles})


def rolling(spread: bool = False) -> Rolling:
    x = np.repeat(GROUPS.astype(np.float32)[:, None, None], 4, 1)
    dates = np.full((7, 2), np.datetime64("NaT", "us"))
    dates[0] = np.array(["2024-01-01", "2024-01-02T13:30"], "datetime64[us]")
    windows = Evaluation("x.csv", [f"x.csv:{row}" for row in range(7)], x, Y, Y + 1, None, dates)
    predictions = [
        Prediction("", tuple(answer(step + 1, QUANTILES[:, row, step], spread) for step in range(2)))
        for row in range(7)
    ]
    return Rolling(SIGNATURE, [windows], [predictions])


def test_quantiles_are_judged_in_the_scale_of_each_group() -> None:
    metrics = rolling().metrics()
    factors = np.array([3.0, 2.0, 4.0])[GROUPS][:, None, None]
    true, median = (Y / factors).ravel(), (QUANTILES[1] / factors).ravel()
    losses = [
        mean_pinball_loss(true, (row / factors).ravel(), alpha=float(share))
        for row, share in zip(QUANTILES, SHARES, strict=True)
    ]
    assert metrics["model"]["pinball_loss"] == pytest.approx(np.mean(losses))
    assert metrics["model"]["coverage_of_0.8"] == ((QUANTILES[0] <= Y) & (QUANTILES[2] >= Y)).mean()
    assert metrics["model"]["scaled_mae"] == pytest.approx(mean_absolute_error(true, median))
    assert metrics["model"]["scaled_mse"] == pytest.approx(mean_squared_error(true, median))
    assert metrics["persistence"]["mae"] == pytest.approx(1.0)
    assert list(metrics) == ["model", "persistence"]


def test_a_spread_is_judged_by_its_coverage() -> None:
    inside = np.abs(Y - QUANTILES[1]) <= 1.6448536269514722  # 90 % of a normal distribution
    assert rolling(spread=True).metrics()["model"]["coverage_of_0.9"] == inside.mean()


def test_rows_have_dates_where_the_file_has_them() -> None:
    rows = list(rolling().rows())
    assert len(rows) == 14
    assert [before for before, _, _ in rows[:3]] == [
        ["x.csv", "x.csv:0", "2024-01-01", "1"],
        ["x.csv", "x.csv:0", "2024-01-02T13:30:00", "2"],
        ["x.csv", "x.csv:1", "", "1"],
    ]
    assert rows[0][2] == [f"{Y[0, 0, 0]:.9g}"]
