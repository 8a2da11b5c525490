"""Predictions for a user's own files with an exported file, without torch and without the run's plugins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from zoo.data.datafile import name_fault
from zoo.data.inputs import read_inputs
from zoo.data.signature import Signature
from zoo.data.text_ids import text_ids
from zoo.errors import RunError, UsageError
from zoo.runtime import OnnxModel
from zoo.runtime.answers import Prediction


def exported_model(target: Path) -> Path:
    """Return the path of an exported file.

    Args:
        target: the file itself, or a run's folder for its float32 file for whole sequences.

    Raises:
        RunError: where the file does not exist.
    """
    if fault := name_fault(target):
        raise RunError(fault)
    path = target if target.is_file() else target / "onnx" / "model.onnx"
    if not path.is_file():
        what = "has not been exported yet; do it with 'zoo export --onnx'" if target.is_dir() else "does not exist"
        raise RunError(f"{target}: {what}")
    return path


def predict(
    target: Path,
    inputs: Sequence[Path],
    texts: Sequence[str] = (),
    provider: str = "cpu",
    *,
    allow_unproven: bool = False,
) -> tuple[Signature, list[Prediction]]:
    """Predict for every sequence of the input files and for every text, in ONNX Runtime.

    Args:
        target: a run's folder or an exported file; see `exported_model`.
        inputs: the input files; see `zoo.data.inputs.read_inputs`.
        texts: further inputs for a model of texts.
        provider: ``cpu`` or ``cuda``.
        allow_unproven: whether to load a file whose proof did not pass; see `zoo.runtime.OnnxModel`.

    Returns:
        The signature of the model, and a prediction for each sequence in the order of the inputs; after them one
        without answers for each sequence that is too short.

    Raises:
        DataError: where an input does not fit the model's signature.
        RunError: where there is no exported file, or it lacks the metadata that ``zoo export`` writes.
        UsageError: where texts are given to a model of numbers.
        ProviderUnavailable: where the provider cannot run here.
    """
    model = OnnxModel(exported_model(target), provider, allow_unproven=allow_unproven)
    signature = model.signature
    if texts and not signature.tokenizer:
        raise UsageError("--text: this model takes numbers; give a .npy or .csv file with --input")
    notes: dict[str, str] = {}
    sequences = [pair for path in inputs for pair in read_inputs(path, signature, notes)]
    sequences += [(text, text_ids(text, signature, f"--text {number}")) for number, text in enumerate(texts, 1)]
    predictions = model.predict([sequence for _, sequence in sequences])
    answers = [
        replace(answer, source=source, note=notes.pop(source, answer.note))
        for answer, (source, _) in zip(predictions, sequences, strict=True)
    ]
    return signature, [*answers, *(Prediction(source, (), note) for source, note in notes.items())]
