"""Predictions with label names and in the user's units, decoded from the outputs of a graph. Needs NumPy only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.signature import Signature


@dataclass(frozen=True)
class Answer:
    """Prediction for one sequence or for one step: a class, or the values of the targets."""

    step: int | None
    """Step of the sequence, or step of the horizon in a forecast, from 1; the last step of a window where each window
    has an answer of its own; None for the whole sequence."""
    label: str | None = None
    """Most probable class; None where the model predicts values."""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Probability by label, in the order of the classes; empty where the model predicts values."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """Predicted value by target, in the user's units; empty where the model predicts a class."""


@dataclass(frozen=True)
class Prediction:
    """Predictions for one sequence."""

    source: str
    """Origin of the sequence. For a file: its path, and the number of the sequence or line if it has several. For
    sequences in memory: the index, such as ``[0]``."""
    answers: tuple[Answer, ...]
    """One for the whole sequence, or one for each step, in order."""
    note: str = ""
    """Reason to trust the answers less, such as a text without a known word; usually empty."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values for JSON."""
        return asdict(self)


def decode_outputs(outputs: Mapping[str, NDArray[np.float32]], signature: Signature, length: int) -> Iterator[Answer]:
    """Yield the answers for one sequence.

    Args:
        outputs: the sequence's row of each output of the graph, by name. The row of ``y`` has the shape (targets,) or
            (horizon, targets), that of ``probabilities`` (classes,) or (time, classes).
        signature: the signature in the file.
        length: number of steps of the sequence, without padding.
    """
    if not signature.labels:
        values = outputs["y"].reshape(-1, len(signature.targets))
        for step, row in enumerate(values, 1):
            numbers = dict(zip(signature.targets, map(float, row), strict=True))
            yield Answer(step if signature.horizon else None, numbers=numbers)
        return
    steps = length if signature.by_step else None
    for step, row in enumerate(np.atleast_2d(outputs["probabilities"])[:steps], 1):
        probabilities = dict(zip(signature.labels, map(float, row), strict=True))
        yield Answer(step if signature.by_step else None, signature.labels[int(row.argmax())], probabilities)
