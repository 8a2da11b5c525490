"""Vectors of words that a training starts from, in place of the encoder's initial ones."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from zoo.data.signature import Signature
from zoo.data.vectors import read_vectors
from zoo.errors import RunError
from zoo.files import json_text, write_atomically
from zoo.nn.encoder import Embedding, EmbeddingConfig, EncoderConfig
from zoo.nn.model import Model
from zoo.run.run import Run

_FILE = "vectors.json"


@dataclass(frozen=True)
class Vectors:
    """What an encoder took from a file of vectors."""

    file: str
    """The value of ``encoder.vectors``."""
    taken: int
    """Number of tokens of the vocabulary that have a vector in the file."""
    tokens: int
    """Size of the vocabulary."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values for JSON."""
        return asdict(self)

    def sentence(self) -> str:
        """Return what was taken, without a full stop."""
        return f"vectors from {self.file}: {self.taken:,} of {self.tokens:,} tokens have one"

    def record(self, run: Run) -> None:
        """Write the record into the run's folder, so that a resumed training does not need the file."""
        write_atomically(run.path / _FILE, json_text(self.to_dict()))


def take_vectors(model: Model, encoder: EncoderConfig | None, signature: Signature) -> Vectors | None:
    """Copy the vectors that a spec names into the encoder; the other tokens keep their initial ones.

    Args:
        model: changed in place.
        encoder: the spec's part.
        signature: gives the vocabulary.

    Returns:
        What was taken; None where the spec names no vectors.

    Raises:
        DataError: the file cannot be used; see `zoo.data.vectors.read_vectors`.
    """
    file = _named(encoder)
    if file is None:
        return None
    assert isinstance(model.encoder, Embedding)
    tokens, values = read_vectors(Path(file), signature.ids, model.encoder.output_size)
    with torch.no_grad():
        model.encoder.table.weight[torch.from_numpy(tokens)] = torch.from_numpy(values)
    return Vectors(file, len(tokens), len(signature.vocabulary))


def recorded_vectors(run: Run, encoder: EncoderConfig | None) -> Vectors | None:
    """Return what the training of a run took when it began; None where its spec names no vectors.

    Raises:
        RunError: the record is damaged or missing.
    """
    if _named(encoder) is None:
        return None
    path = run.path / _FILE
    try:
        return Vectors(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{path}: is damaged: {error}; build again without --resume") from error


def _named(encoder: EncoderConfig | None) -> str | None:
    return encoder.vectors if isinstance(encoder, EmbeddingConfig) else None
