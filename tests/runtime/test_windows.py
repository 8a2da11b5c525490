"""Predictions for long sequences by the windows of a model of recordings, and the mean over them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from tests.runtime.verified import numbers
from tests.support.files import LABELS, write_verified
from tests.support.models import FEATURES, draw, make_model
from zoo.data.preparation.form import Feature
from zoo.data.recordings.form import Reading, RecordingForm
from zoo.runtime import OnnxModel
from zoo.runtime.windows import Window, cut, joined

FEATURE_FORM = tuple(Feature(f"x{number}") for number in range(FEATURES))
STEPS = [0, 3, 6, 7]
"""First steps of the windows of 5 every 3 over 12 steps."""


def signature(*, mean: bool = True, by_step: bool = False) -> zoo.Signature:
    form = RecordingForm(Reading(), FEATURE_FORM, window=5, step=3, mean=mean)
    return zoo.Signature(features=FEATURES, labels=LABELS, by_step=by_step, form=form)


def windowed(folder: Path, *, mean: bool = True, by_step: bool = False) -> tuple[OnnxModel, OnnxModel]:
    """Return a model twice, without and with windows."""
    pooling: dict[str, Any] = {"pooling": None} if by_step else {}
    (folder / "plain").mkdir()
    _, plain = numbers(folder / "plain", **pooling)
    model = make_model("lstm", **pooling)
    return plain, OnnxModel(write_verified(model, folder, signature(mean=mean, by_step=by_step)))


def test_a_long_sequence_has_the_mean_of_its_windows(tmp_path: Path) -> None:
    plain, model = windowed(tmp_path)
    x, short = draw(1, 12, 1)[0], draw(1, 4, 2)[0]
    first, second = model.predict([x, short])
    rows = [list(answer.answers[0].probabilities.values()) for answer in plain.predict([x[s : s + 5] for s in STEPS])]
    (answer,) = first.answers
    np.testing.assert_allclose(list(answer.probabilities.values()), np.mean(rows, 0), rtol=1e-6)
    assert answer.step is None
    assert answer.label == LABELS[int(np.argmax(np.mean(rows, 0)))]
    assert second == replace(plain.predict([short])[0], source="[1]")


def test_windows_with_labels_of_their_own_have_an_answer_each(tmp_path: Path) -> None:
    plain, model = windowed(tmp_path, mean=False)
    x = draw(1, 12, 1)[0]
    (prediction,) = model.predict([x])
    assert [answer.step for answer in prediction.answers] == [start + 5 for start in STEPS]
    expected = plain.predict([x[start : start + 5] for start in STEPS])
    assert [answer.label for answer in prediction.answers] == [single.answers[0].label for single in expected]


def test_each_step_has_the_mean_of_the_windows_over_it(tmp_path: Path) -> None:
    plain, model = windowed(tmp_path, by_step=True)
    x = draw(1, 12, 1)[0]
    (prediction,) = model.predict([x])
    assert [answer.step for answer in prediction.answers] == list(range(1, 13))
    total, count = np.zeros((12, len(LABELS))), np.zeros((12, 1))
    for start, window in zip(STEPS, plain.predict([x[start : start + 5] for start in STEPS]), strict=True):
        total[start : start + 5] += [list(answer.probabilities.values()) for answer in window.answers]
        count[start : start + 5] += 1
    rows = [list(answer.probabilities.values()) for answer in prediction.answers]
    np.testing.assert_allclose(rows, total / count, rtol=1e-6)


def test_numbers_are_averaged_too() -> None:
    windows = cut([np.zeros((12, FEATURES))], signature())
    assert [(window.sequence, window.start, len(window.steps)) for window in windows] == [(0, s, 5) for s in STEPS]
    outputs = [{"y": np.array([number, 2.0])} for number in range(4)]
    np.testing.assert_array_equal(joined(outputs, windows, signature())["y"], [1.5, 2])


@pytest.mark.parametrize("by_step", [False, True])
def test_a_window_alone_is_unchanged(by_step: bool) -> None:
    output = {"y": np.zeros((5, 1), np.float32)}
    window = Window(0, 0, np.zeros((5, FEATURES)))
    assert joined([output], [window], signature(by_step=by_step)) is output


def test_models_without_windows_read_whole_sequences() -> None:
    steps = np.zeros((12, FEATURES))
    (window,) = cut([steps], zoo.Signature(features=FEATURES, labels=LABELS))
    assert window.steps is steps
