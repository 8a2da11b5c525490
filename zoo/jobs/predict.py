"""Answers for a user's own files, through the exported file. Needs neither torch nor the run's plugins."""

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
    """The exported file that ``target``, a run or the file itself, stands for.

    Raises:
        RunError: where there is none.
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
    """Answer for every sequence of the input files, and for every text given.

    ``allow_unproven`` is that of `OnnxModel`.

    Raises:
        DataError: where an input is not what the model takes.
        RunError: where there is no exported model, or it lacks what zoo writes into it.
        UsageError: where texts are given to a model of numbers.
        ProviderUnavailable: where the provider cannot run here.
    """
    model = OnnxModel(exported_model(target), provider, allow_unproven=allow_unproven)
    signature = model.signature
    if texts and not signature.tokenizer:
        raise UsageError("--text: this model takes numbers; give a .npy or .csv file with --input")
    found = [pair for path in inputs for pair in _read(path, signature)]
    found += [(text, text_ids(text, signature, f"--text {number}")) for number, text in enumerate(texts, 1)]
    predictions = model.predict([sequence for _, sequence in found])
    return signature, [replace(one, source=source) for one, (source, _) in zip(predictions, found, strict=True)]


def _read(path: Path, signature: Signature) -> Iterator[tuple[str, NDArray[Any]]]:
    """Each sequence of a file, with what it is called."""
    if fault := name_fault(path):  # before its ending is looked at
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
