"""Evaluation of an exported forecast over a new file: every window of it, without torch and without the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.preparation.form import TableForm
from zoo.data.preparation.predicting import Evaluation, all_windows
from zoo.data.signature import Signature
from zoo.data.tables.read import read_table
from zoo.runtime import OnnxModel
from zoo.runtime.answers import Answer, Prediction

Numbers = NDArray[np.float64]
Row = tuple[list[str], Answer, list[str]]
"""Cells before an answer, the answer, and the true values."""
COVERED, Z = 0.9, 1.6448536269514722
"""Probability of the interval whose coverage is reported for a spread, and half its width in standard deviations."""


@dataclass(frozen=True)
class Rolling:
    """Predictions for every window of some files, beside the true values and naive predictors."""

    signature: Signature
    windows: Sequence[Evaluation]
    """Those of each series."""
    predictions: Sequence[Sequence[Prediction]]
    """For each series one for each window, with an answer for each step."""

    @property
    def counts(self) -> dict[str, int]:
        """Number of ``windows`` and ``series``."""
        return {"windows": sum(len(each.y) for each in self.windows), "series": len(self.windows)}

    @property
    def columns(self) -> tuple[list[str], list[str]]:
        """Names of the columns of `rows` before and after those of the answer."""
        dated = ["date"] if self.windows[0].dates is not None else []
        return ["source", "last_row", *dated, "step"], [f"{name} (true)" for name in self.signature.targets]

    def rows(self) -> Iterator[Row]:
        """Yield every forecast: the last row of its window, date and step; the answer; the true values."""
        for each, predictions in zip(self.windows, self.predictions, strict=True):
            dates = None if each.dates is None else each.dates.astype(str).tolist()
            for row, prediction in enumerate(predictions):
                for step, (answer, true) in enumerate(zip(prediction.answers, each.y[row].tolist(), strict=True)):
                    date = [] if dates is None else [_date(dates[row][step])]
                    before = [each.source, each.last[row], *date, str(step + 1)]
                    yield before, answer, [f"{value:.9g}" for value in true]

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return the metrics of the model, and of ``persistence`` and ``seasonal`` persistence, by name.

        They are those of ``zoo build`` that need no training data: ``mae``, ``rmse`` and ``smape`` in the user's units,
        ``scaled_mae`` and ``scaled_mse`` where targets have a scale, and of a model with quantiles or a spread
        ``pinball_loss`` (scaled) and the coverage of its interval.
        """
        true = np.concatenate([each.y for each in self.windows])
        point = self._parts(lambda answer, target: answer.numbers[target])
        forecasts = {"model": point, "persistence": np.concatenate([each.naive for each in self.windows])}
        seasonal = [each.seasonal for each in self.windows if each.seasonal is not None]
        if seasonal:
            forecasts["seasonal"] = np.concatenate(seasonal)
        metrics = {name: self._metrics(forecast, true) for name, forecast in forecasts.items()}
        metrics["model"] |= self._distribution(point, true)
        return metrics

    def _parts(self, part: Callable[[Answer, str], float]) -> Numbers:
        """Return a number of each answer, (windows, steps, targets)."""
        rows: list[Any] = [
            [[part(answer, target) for target in self.signature.targets] for answer in prediction.answers]
            for predictions in self.predictions
            for prediction in predictions
        ]
        return np.array(rows, np.float64).reshape(len(rows), -1, len(self.signature.targets))

    def _metrics(self, forecast: Numbers, true: Numbers) -> dict[str, float]:
        errors = forecast - true
        sizes = np.abs(true) + np.abs(forecast)
        metrics = {
            "mae": _mean(np.abs(errors)),
            "rmse": _mean(errors**2) ** 0.5,
            "smape": _mean(2 * np.abs(errors) / np.where(sizes > 0, sizes, 1)),
        }
        if (factor := self._factor()) is not None:
            scaled = errors / factor
            metrics |= {"scaled_mae": _mean(np.abs(scaled)), "scaled_mse": _mean(scaled**2)}
        return metrics

    def _factor(self) -> Numbers | None:
        """Return the factor of the targets' scale in each window, (windows or 1, 1, targets)."""
        scale, group = self.signature.target_scale, self.signature.group
        if scale is None:
            return None
        if group is None or not self.signature.target_scales:
            return np.array(scale.factor)[None, None]
        factors = np.array([scale.factor, *(each.factor for each in self.signature.target_scales)])
        ids = np.concatenate([each.x[:, 0, group] for each in self.windows]).astype(np.int64)
        return factors[ids][:, None]

    def _distribution(self, point: Numbers, true: Numbers) -> dict[str, float]:
        """Return the metrics of quantiles or of a spread; empty where the model predicts neither."""
        first = self.predictions[0][0].answers[0]
        if first.spread:
            reach = Z * self._parts(lambda answer, target: answer.spread[target])
            return {f"coverage_of_{COVERED:g}": _mean((np.abs(point - true) <= reach).astype(float))}
        if not first.quantiles:
            return {}
        shares = list(next(iter(first.quantiles.values())))

        def row(share: str) -> Numbers:
            return self._parts(lambda answer, target: answer.quantiles[target][share])

        rows = [row(share) for share in shares]
        factor = self._factor()
        lacking = [(true - row) / (1.0 if factor is None else factor) for row in rows]
        losses = [
            _mean(np.maximum(q * part, (q - 1) * part)) for q, part in zip(map(float, shares), lacking, strict=True)
        ]
        inside = (rows[0] <= true) & (true <= rows[-1])
        covered = float(shares[-1]) - float(shares[0])
        return {"pinball_loss": fmean(losses), f"coverage_of_{covered:g}": _mean(inside.astype(float))}


def _date(text: str) -> str:
    """Return a date of NumPy without parts that are zero; empty for a row that the file lacks."""
    return "" if text == "NaT" else text.removesuffix(".000000").removesuffix("T00:00:00")


def _mean(values: Numbers) -> float:
    return float(values.mean())


def roll(model: OnnxModel, form: TableForm, inputs: Sequence[Path]) -> Rolling:
    """Predict from every window of the input tables whose future is in them.

    Args:
        model: a model of series.
        form: that of its signature.
        inputs: tables, prepared as in training.

    Raises:
        DataError: where a table does not fit the model.
    """
    windows = [each for path in inputs for each in all_windows(read_table(path, form.dialect), form)]
    return Rolling(model.signature, windows, [model.predict(list(each.x)) for each in windows])
