"""Evaluation of an exported file on the targets that a user's files contain, without torch and without the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.data.preparation.form import TableForm
from zoo.data.recordings.form import RecordingForm
from zoo.data.recordings.inputs import Truth, labelled_inputs
from zoo.data.signature import Signature
from zoo.errors import DataError, UsageError
from zoo.jobs.predict import exported_model
from zoo.jobs.rolling import Rolling, Row, roll
from zoo.runtime import OnnxModel
from zoo.runtime.answers import Answer, Prediction


@dataclass(frozen=True)
class Recorded:
    """Predictions for recordings beside their true classes or numbers."""

    signature: Signature
    predictions: Sequence[Prediction]
    truth: Sequence[Truth]
    """For each recording as many as it has answers."""

    @property
    def counts(self) -> dict[str, int]:
        """Number of ``recordings``."""
        return {"recordings": len(self.predictions)}

    @property
    def columns(self) -> tuple[list[str], list[str]]:
        """Names of the columns of `rows` before and after those of the answer."""
        step = ["step"] if self.signature.by_step else []
        return ["source", *step], [f"{name} (true)" for name in self.signature.targets or ("label",)]

    def rows(self) -> Iterator[Row]:
        """Yield every answer with the recording, its step, and the true class or numbers."""
        for prediction, truth in zip(self.predictions, self.truth, strict=True):
            for answer, true in zip(prediction.answers, truth, strict=True):
                step = [] if answer.step is None else [str(answer.step)]
                cells = [f"{value:.9g}" if isinstance(value, float) else value or "" for value in true]
                yield [prediction.source, *step], answer, cells

    def metrics(self) -> dict[str, dict[str, float]]:
        """Return the metrics of the ``model``, by name: of classes also those of the most frequent one, ``majority``.

        Of classes ``accuracy`` and ``balanced_accuracy``, of numbers ``mae`` and ``rmse``, over what has a true value.
        """
        pairs = [
            (answer, true)
            for prediction, truth in zip(self.predictions, self.truth, strict=True)
            for answer, true in zip(prediction.answers, truth, strict=True)
            if not any(value is None or value != value for value in true)
        ]
        if not pairs:
            raise DataError("no recording of the input has a target; give files with the column of the training")
        if self.signature.targets:
            return {"model": _errors(pairs)}
        predicted, true = [answer.label for answer, _ in pairs], [str(each[0]) for _, each in pairs]
        ((frequent, _),) = Counter(true).most_common(1)
        return {"model": _accuracy(predicted, true), "majority": _accuracy([frequent] * len(true), true)}


def _errors(pairs: Sequence[tuple[Answer, tuple[object, ...]]]) -> dict[str, float]:
    errors = np.array([list(answer.numbers.values()) for answer, _ in pairs]) - np.array([true for _, true in pairs])
    return {"mae": float(np.abs(errors).mean()), "rmse": float(np.square(errors).mean() ** 0.5)}


def _accuracy(predicted: Sequence[str | None], true: Sequence[str]) -> dict[str, float]:
    hits, names = np.array([a == b for a, b in zip(predicted, true, strict=True)]), np.array(true)
    shares = [hits[names == name].mean() for name in set(true)]
    return {"accuracy": float(hits.mean()), "balanced_accuracy": float(np.mean(shares))}


def evaluate(
    target: Path, inputs: Sequence[Path], provider: str = "cpu", *, allow_unproven: bool = False
) -> Rolling | Recorded:
    """Predict every window of the series, or every recording, in files that contain the targets, in ONNX Runtime.

    Args:
        target: a run's folder or an exported file; see `zoo.jobs.predict.exported_model`.
        inputs: files, prepared as in training.
        provider: ``cpu`` or ``cuda``.
        allow_unproven: whether to load a file whose proof did not pass; see `zoo.runtime.OnnxModel`.

    Raises:
        DataError: where a file does not fit the model, or lacks the targets.
        RunError: where there is no exported file.
        UsageError: where the model is neither one of series nor one of whole recordings or their steps.
        ProviderUnavailable: where the provider cannot run here.
    """
    model = OnnxModel(exported_model(target), provider, allow_unproven=allow_unproven)
    signature, form = model.signature, model.signature.form
    if isinstance(form, TableForm) and signature.targets:
        return roll(model, form, inputs)
    if not isinstance(form, RecordingForm) or not form.mean or not (form.label or signature.targets):
        raise UsageError(
            "--rolling: this model does not predict numbers from windows of a table, nor whole recordings; leave it out"
        )
    given = [each for path in inputs for each in labelled_inputs(path, form, signature.targets, signature.by_step)]
    predictions = model.predict([steps for _, steps, _ in given])
    named = [Prediction(name, prediction.answers) for prediction, (name, _, _) in zip(predictions, given, strict=True)]
    return Recorded(signature, named, [truth for _, _, truth in given])
