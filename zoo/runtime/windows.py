"""Long sequences as the windows that a model was trained on, and its outputs for them put together again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.data.recordings.form import RecordingForm
from zoo.data.recordings.windows import window_starts
from zoo.data.signature import Signature

Outputs = Mapping[str, NDArray[Any]]
"""A sequence's row of each output of the graph, by name."""


class Window(NamedTuple):
    """Some steps of a sequence."""

    sequence: int
    """Index of the sequence."""
    start: int
    """First of the steps."""
    steps: NDArray[Any]


def cut(sequences: Sequence[NDArray[Any]], signature: Signature) -> list[Window]:
    """Return the windows over each sequence, in order; a sequence is its own window where the model knows none."""
    form = signature.form
    window, step = (form.window, form.step) if isinstance(form, RecordingForm) else (0, 0)
    return [
        Window(number, start, steps[start : start + window] if window else steps)
        for number, steps in enumerate(sequences)
        for start in window_starts(len(steps), window, step).tolist()
    ]


def joined(outputs: Sequence[Outputs], windows: Sequence[Window], signature: Signature) -> Outputs:
    """Return the outputs for a sequence: the mean over its windows, at each step where there is an output for each.

    Args:
        outputs: of each window.
        windows: all windows over the sequence.
        signature: of the model.
    """
    if len(windows) == 1:
        return outputs[0]
    if not signature.by_step:
        return {name: np.stack([row[name] for row in outputs]).mean(0, dtype=np.float64) for name in outputs[0]}
    time = max(window.start + len(window.steps) for window in windows)
    result = {}
    for name, first in outputs[0].items():
        total, count = np.zeros((time, *first.shape[1:])), np.zeros((time, *(1,) * (first.ndim - 1)))
        for row, window in zip(outputs, windows, strict=True):
            steps = slice(window.start, window.start + len(window.steps))
            total[steps] += row[name][: len(window.steps)]
            count[steps] += 1
        result[name] = total / count
    return result
