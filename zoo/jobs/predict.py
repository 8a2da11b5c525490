"""Predictions for a user's own files with an exported file, without torch and without the run's plugins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zoo.data.datafile import name_fault
from zoo.data.sequences import read_columns, read_sequences
from zoo.data.signature import Signature
from zoo.data.texts import read_texts, text_ids
from zoo.errors import DataError, RunError, UsageError
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
        inputs: the input files. A .npy file contains (time, features) or (sequences, time, features) numbers, a .csv
            file one sequence with a step per row, both in the units of the training data; a .txt file one text per
            line.
        texts: further inputs for a model of texts.
        provider: ``cpu`` or ``cuda``.
        allow_unproven: whether to load a file whose proof did not pass; see `zoo.runtime.OnnxModel`.

    Returns:
        The signature of the model, and a prediction for each sequence in the order of the inputs.

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
    sequences = [pair for path in inputs for pair in _read(path, signature)]
    sequences += [(text, text_ids(text, signature, f"--text {number}")) for number, text in enumerate(texts, 1)]
    predictions = model.predict([sequence for _, sequence in sequences])
    sources = [source for source, _ in sequences]
    return signature, [replace(answer, source=source) for answer, source in zip(predictions, sources, strict=True)]


def _read(path: Path, signature: Signature) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield each sequence of a file after its name, such as ``x.npy[2]`` or ``x.txt:3``."""
    if fault := name_fault(path):  # before a reader is chosen by the file's suffix
        raise DataError(fault)
    if signature.tokenizer:
        texts = read_texts(path, signature)
        yield from ((f"{path}:{number}", text) for number, text in enumerate(texts, 1))
    elif signature.columns and path.suffix.lower() == ".csv":
        yield str(path), read_columns(path, signature.columns, signature.window)
    else:
        sequences = read_sequences(path, signature.features)
        names = [f"{path}[{number}]" for number in range(len(sequences))] if len(sequences) > 1 else [str(path)]
        yield from zip(names, sequences, strict=True)
