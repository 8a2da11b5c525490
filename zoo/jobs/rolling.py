"""Evaluation of an exported forecast over a new file: every window of it, without torch and without the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.preparation.form import TableForm
from zoo.data.preparation.predicting import Evaluation, all_windows
from zoo.data.signature import Signature
from zoo.data.tables.read import read_table
from zoo.errors import UsageError
from zoo.jobs.predict import exported_model
from zoo.runtime import OnnxModel


@dataclass(frozen=True)
class Rolling:
    """Predictions for every window of some files, beside the true values and persistence."""

    signature: Signature
    windows: Sequence[Evaluation]
    """Those of each series."""
    predicted: Sequence[NDArray[np.float64]]
    """For each series (windows, steps, targets), in the user's units."""

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return the metrics of the model and of ``persistence``: ``mae`` and ``rmse`` in the user's units.

        Where all series have one scale, also ``scaled_mae`` and ``scaled_mse``.
        """
        true = np.concatenate([each.y for each in self.windows])
        forecasts = {
            "model": np.concatenate(self.predicted),
            "persistence": np.concatenate([each.naive for each in self.windows]),
        }
        return {name: self._metrics(forecast - true) for name, forecast in forecasts.items()}

    def _metrics(self, errors: NDArray[np.float64]) -> dict[str, float]:
        metrics = {"mae": _mean(np.abs(errors)), "rmse": _mean(errors**2) ** 0.5}
        if (scale := self.signature.target_scale) is not None and not self.signature.target_scales:
            scaled = errors / np.array(scale.factor)
            metrics |= {"scaled_mae": _mean(np.abs(scaled)), "scaled_mse": _mean(scaled**2)}
        return metrics


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean())


def evaluate_rolling(
    target: Path, inputs: Sequence[Path], provider: str = "cpu", *, allow_unproven: bool = False
) -> Rolling:
    """Predict from every window of the input tables whose future is in them, in ONNX Runtime.

    Args:
        target: a run's folder or an exported file; see `zoo.jobs.predict.exported_model`.
        inputs: tables, prepared as in training.
        provider: ``cpu`` or ``cuda``.
        allow_unproven: whether to load a file whose proof did not pass; see `zoo.runtime.OnnxModel`.

    Raises:
        DataError: where a table does not fit the model.
        RunError: where there is no exported file.
        UsageError: where the model does not predict numbers from the windows of a table.
        ProviderUnavailable: where the provider cannot run here.
    """
    model = OnnxModel(exported_model(target), provider, allow_unproven=allow_unproven)
    signature, form = model.signature, model.signature.form
    if not isinstance(form, TableForm) or not signature.targets:
        raise UsageError("--rolling: this model does not predict numbers from windows of a table; leave it out")
    windows = [each for path in inputs for each in all_windows(read_table(path, form.dialect), form)]
    predicted = [_predicted(model, signature, each) for each in windows]
    return Rolling(signature, windows, predicted)


def _predicted(model: OnnxModel, signature: Signature, each: Evaluation) -> NDArray[np.float64]:
    rows: list[Any] = [
        [[answer.numbers[name] for name in signature.targets] for answer in prediction.answers]
        for prediction in model.predict(list(each.x))
    ]
    return np.array(rows, np.float64).reshape(each.y.shape)
