"""Answers for a user's own sequences, through the exported file. Needs neither torch nor the run's plugins."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import RunError
from zoo.runtime import OnnxSession
from zoo.sequences import read_sequences


@dataclass(frozen=True)
class Prediction:
    """The answer for one sequence."""

    source: str
    """The file, and the number of the sequence where the file holds several."""
    label: str
    probabilities: dict[str, float]
    """By label, in the order of the classes."""


def exported_model(target: Path) -> Path:
    """The exported file that ``target``, a run or the file itself, stands for.

    Raises:
        RunError: where there is none.
    """
    path = target if target.is_file() else target / "onnx" / "model.onnx"
    if not path.is_file():
        what = "has not been exported yet; do it with 'zoo export --onnx'" if target.is_dir() else "does not exist"
        raise RunError(f"{target}: {what}")
    return path


def predict(target: Path, inputs: Sequence[Path], provider: str = "cpu") -> list[Prediction]:
    """Classify every sequence of the input files.

    Raises:
        DataError: where an input file is not what the model takes.
        RunError: where there is no exported model, or it lacks what zoo writes into it.
        ProviderUnavailable: where the provider cannot run here.
    """
    session = OnnxSession(exported_model(target), provider, strict=False)
    try:
        labels: list[str] = json.loads(session.metadata["labels"])
    except (KeyError, ValueError) as error:
        raise RunError(
            f"{session.path}: carries no labels, so Recurrent Zoo did not write it; export the run again"
        ) from error
    predictions = []
    for path in inputs:
        sequences = read_sequences(path, session.features)
        for number, row in enumerate(session.run(sequences)["probabilities"]):
            source = str(path) if len(sequences) == 1 else f"{path}[{number}]"
            probabilities = dict(zip(labels, map(float, row), strict=True))
            predictions.append(Prediction(source, labels[int(row.argmax())], probabilities))
    return predictions
