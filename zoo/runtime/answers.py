"""What a model says, in the user's units and with the labels' names, from the numbers of its graph. NumPy only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zoo.data.signature import Signature


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
    """Where the sequence is from: the file, and the number of the sequence or line where the file holds several; of
    sequences in memory its number, such as ``[0]``."""
    answers: tuple[Answer, ...]
    note: str = ""
    """What makes the answers worth less than others, in words: a text without a word that the model knows. Mostly
    empty."""


def answers(outputs: Mapping[str, NDArray[np.float32]], signature: Signature, valid: int) -> Iterator[Answer]:
    """The answers for one sequence.

    Args:
        outputs: its row of each of the graph's outputs.
        signature: of the file.
        valid: how many steps of the sequence count.
    """
    if not signature.labels:
        numbers = outputs["y"].reshape(-1, len(signature.targets))
        for step, row in enumerate(numbers, 1):
            named = dict(zip(signature.targets, map(float, row), strict=True))
            yield Answer(step if signature.horizon else None, numbers=named)
        return
    for step, row in enumerate(np.atleast_2d(outputs["probabilities"])[: valid if signature.by_step else None], 1):
        probabilities = dict(zip(signature.labels, map(float, row), strict=True))
        yield Answer(step if signature.by_step else None, signature.labels[int(row.argmax())], probabilities)
