"""Predictions with label names and in the user's units, decoded from the outputs of a graph. Needs NumPy only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.signature import Signature

QUANTILE = re.compile(r"q0\.\d+")
"""Name of the output with a quantile other than the median."""


@dataclass(frozen=True)
class Answer:
    """Prediction for one sequence or for one step: a class, or the values of the targets."""

    step: int | None
    """Step of the sequence, or step of the horizon in a forecast, from 1; the last step of a window where each window
    has an answer of its own; None for the whole sequence."""
    label: str | None = None
    """Most probable class; None where the model predicts values or several labels."""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Probability by label, in the order of the classes; empty where the model predicts values."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """Predicted value by target, in the user's units: the mean, or the median where the model predicts quantiles. Empty
    where the model predicts a class."""
    spread: Mapping[str, float] = field(default_factory=dict)
    """Standard deviation by target, in the user's units, where the model predicts it."""
    quantiles: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Quantiles by target, each by its name, such as ``0.1``, where the model predicts them."""
    labels: tuple[str, ...] = ()
    """Labels with a probability of at least a half, where a sequence may have several."""


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
        outputs: the sequence's row of each output of the graph, by name. The row of ``y`` has the shape (targets,),
            (horizon, targets) or (time, targets), like those of ``spread`` and of quantiles; that of ``probabilities``
            (classes,) or (time, classes).
        signature: the signature in the file.
        length: number of steps of the sequence, without padding.
    """
    if not signature.labels:
        yield from _decode_numbers(outputs, signature, length)
        return
    if signature.multilabel:
        shares = dict(zip(signature.labels, map(float, outputs["probabilities"]), strict=True))
        labels = tuple(label for label, share in shares.items() if share >= 0.5)
        yield Answer(None, labels=labels, probabilities=shares)
        return
    steps = length if signature.by_step else None
    for step, row in enumerate(np.atleast_2d(outputs["probabilities"])[:steps], 1):
        probabilities = dict(zip(signature.labels, map(float, row), strict=True))
        yield Answer(step if signature.by_step else None, signature.labels[int(row.argmax())], probabilities)


def _decode_numbers(outputs: Mapping[str, NDArray[np.float32]], signature: Signature, length: int) -> Iterator[Answer]:
    """Yield the numbers of one sequence, or of each of its steps or of the steps of the horizon."""
    targets, stepwise = signature.targets, signature.by_step or bool(signature.horizon)
    names = {"0.5" if name == "y" else name[1:]: name for name in outputs if name == "y" or QUANTILE.fullmatch(name)}
    ranked = sorted(names, key=float) if len(names) > 1 else []
    kept = {
        name: value.reshape(-1, len(targets)) for name, value in outputs.items() if name in (*names.values(), "spread")
    }
    for index in range(length if signature.by_step else len(kept["y"])):
        numbers, spread = (
            dict(zip(targets, map(float, kept[name][index]), strict=True)) if name in kept else {}
            for name in ("y", "spread")
        )
        quantiles = {
            target: {share: float(kept[names[share]][index, column]) for share in ranked}
            for column, target in enumerate(targets if ranked else ())
        }
        yield Answer(index + 1 if stepwise else None, numbers=numbers, spread=spread, quantiles=quantiles)
