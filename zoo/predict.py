"""Answers for a user's own data, through the exported file. Needs neither torch nor the run's plugins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.errors import RunError, UsageError
from zoo.runtime import OnnxSession, read_signature
from zoo.sequences import read_columns, read_sequences
from zoo.signature import Signature
from zoo.texts import read_texts, text_ids

BATCH = 64
"""Texts that are answered together."""


@dataclass(frozen=True)
class Answer:
    """What a model says of one thing: a sequence, or one of its steps."""

    step: int | None
    """Counted from 1: of the sequence, or of the future in a forecast; None where it is about the whole."""
    label: str | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """By label, in the order of the classes."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """By target, in the user's units."""


@dataclass(frozen=True)
class Prediction:
    """The answers for one sequence."""

    source: str
    """The file, and the number of the sequence or line where the file holds several."""
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Sequences:
    """Sequences of one length, or of several in one padded batch."""

    sources: Sequence[str]
    x: NDArray[np.float32] | NDArray[np.int64]
    lengths: NDArray[np.int64] | None = None


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


def predict(
    target: Path, inputs: Sequence[Path], texts: Sequence[str] = (), provider: str = "cpu"
) -> tuple[Signature, list[Prediction]]:
    """Answer for every sequence of the input files, and for every text given.

    Raises:
        DataError: where an input is not what the model takes.
        RunError: where there is no exported model, or it lacks what zoo writes into it.
        UsageError: where texts are given to a model of numbers.
        ProviderUnavailable: where the provider cannot run here.
    """
    session = OnnxSession(exported_model(target), provider, strict=False)
    signature = read_signature(session.metadata, session.path)
    if texts and not signature.tokenizer:
        raise UsageError("--text: this model takes numbers; give a .npy or .csv file with --input")
    batches = [batch for path in inputs for batch in _read(path, signature)]
    given = [text_ids(text, signature, f"--text {number}") for number, text in enumerate(texts, 1)]
    batches += _padded(list(texts), given)
    predictions = []
    for batch in batches:
        outputs = session.run(batch.x, batch.lengths if session.takes_lengths else None)
        for row, source in enumerate(batch.sources):
            valid = None if batch.lengths is None else int(batch.lengths[row])
            rows = {name: value[row] for name, value in outputs.items()}
            predictions.append(Prediction(source, tuple(_answers(rows, signature, valid))))
    return signature, predictions


def _read(path: Path, signature: Signature) -> list[Sequences]:
    if signature.tokenizer:
        texts = read_texts(path, signature)
        return _padded([f"{path}:{number}" for number in range(1, len(texts) + 1)], texts)
    if signature.columns and path.suffix.lower() == ".csv":
        return [Sequences([str(path)], read_columns(path, signature.columns, signature.window)[None])]
    sequences = read_sequences(path, signature.features)
    numbered = [f"{path}[{number}]" for number in range(len(sequences))]
    return [Sequences([str(path)] if len(sequences) == 1 else numbered, sequences)]


def _padded(sources: Sequence[str], texts: Sequence[NDArray[np.int64]]) -> list[Sequences]:
    """Texts in padded batches, in their order."""
    batches = []
    for start in range(0, len(texts), BATCH):
        some = texts[start : start + BATCH]
        lengths = np.array([len(ids) for ids in some], np.int64)
        x = np.zeros((len(some), int(lengths.max())), np.int64)
        for row, ids in enumerate(some):
            x[row, : len(ids)] = ids
        batches.append(Sequences(sources[start : start + BATCH], x, lengths))
    return batches


def _answers(outputs: Mapping[str, NDArray[np.float32]], signature: Signature, valid: int | None) -> Iterator[Answer]:
    """The answers for one sequence, from its rows of the graph's outputs; ``valid`` steps count."""
    if not signature.labels:
        numbers = outputs["y"].reshape(-1, len(signature.targets))
        for step, row in enumerate(numbers, 1):
            named = dict(zip(signature.targets, map(float, row), strict=True))
            yield Answer(step if signature.horizon else None, numbers=named)
        return
    for step, row in enumerate(np.atleast_2d(outputs["probabilities"])[: valid if signature.by_step else None], 1):
        probabilities = dict(zip(signature.labels, map(float, row), strict=True))
        yield Answer(step if signature.by_step else None, signature.labels[int(row.argmax())], probabilities)
