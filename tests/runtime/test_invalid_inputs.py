"""Inputs of `OnnxModel` and `OnnxStream`: which values, shapes and dtypes are rejected, and with which message."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from tests.runtime.verified import VOCABULARY, data_error, numbers, texts
from tests.support.files import LABELS, write_verified
from tests.support.models import CLASSES, draw, make_model, sequences
from zoo.runtime import OnnxModel
from zoo.runtime.session import OnnxSession
from zoo.runtime.state_inputs import ALLOW

IN_A_LIST = "; where x is one sequence, put it in a list: [x]"
NO_NUMBERS = "contains values of type {}, expected real numbers such as float32"
NO_TOKENS = "contains values of type {}, expected integers, one per token"
MASKED = "contains masked values (1), expected none; replace them with filled() or remove them"


def zeros_except(shape: tuple[int, ...], at: tuple[int, ...], value: float) -> np.ndarray[Any, Any]:
    """Return zeros in float64 with another value at one index."""
    x = np.zeros(shape)
    x[at] = value
    return x


def masked(shape: int | tuple[int, ...]) -> np.ma.MaskedArray[Any, Any]:
    """Return zeros with the first value masked."""
    mask = np.zeros(shape, bool)
    mask.flat[0] = True
    return np.ma.masked_array(np.zeros(shape), mask)


# --- sequences of predict -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sequence", "reason"),
    [
        (np.zeros((3, 9)), "has the shape (3, 9), expected (time, 8) with at least one step"),
        (np.zeros((0, 8)), "has the shape (0, 8), expected (time, 8) with at least one step"),
        (np.zeros(8), f"has the shape (8,), expected (time, 8) with at least one step{IN_A_LIST}"),
        (
            np.zeros((2, 8), complex),
            f"{NO_NUMBERS.format('complex128')}; give real and imaginary parts as features of their own",
        ),
        (np.zeros((2, 8), bool), f"{NO_NUMBERS.format('bool')}; convert them to 0 and 1 with astype('float32')"),
        (np.full((2, 8), "1"), f"{NO_NUMBERS.format('<U1')}; convert them with astype('float32')"),
        (np.full((2, 8), b"1"), f"{NO_NUMBERS.format('|S1')}; convert them with astype('float32')"),
        (np.full((2, 8), None), f"{NO_NUMBERS.format('object')}; convert them with astype('float32')"),
        (
            np.zeros((2, 8), "M8[s]"),
            f"{NO_NUMBERS.format('datetime64[s]')}; give numbers, such as the seconds since a fixed date",
        ),
        (np.zeros((2, 8), "m8[s]"), f"{NO_NUMBERS.format('timedelta64[s]')}; give numbers, such as seconds"),
        ([[0.0] * 8, [0.0] * 7], "contains lists or arrays of different shapes; give all of them one shape"),
        (masked((2, 8)), MASKED),
        ([masked(8), masked(8)], MASKED.replace("(1)", "(2)")),
        ([[np.ma.masked, *[0.0] * 7]], MASKED),
        (zeros_except((2, 8), (1, 3), np.nan), f", step [1], feature [3]: nan is not a finite number; {ALLOW}"),
        (zeros_except((2, 8), (0, 7), -np.inf), f", step [0], feature [7]: -inf is not a finite number; {ALLOW}"),
        (zeros_except((2, 8), (1, 0), 1e39), f", step [1], feature [0]: 1e+39 is more than float32 can hold; {ALLOW}"),
        ("hello", "is a text, and this model takes numbers; give an array"),
    ],
)
def test_invalid_sequences_of_numbers(sequence: Any, reason: str, tmp_path: Path) -> None:
    _, file = numbers(tmp_path)
    error = data_error(lambda: file.predict([draw(1, 2)[0], sequence]))
    assert error == f"model.onnx: sequence [1]{'' if reason[0] == ',' else ': '}{reason}"


@pytest.mark.parametrize(
    ("sequence", "reason"),
    [
        (np.array([1, 7]), ", step [1]: has the token 7, expected 0 to 6"),
        (np.array([-1]), ", step [0]: has the token -1, expected 0 to 6"),
        (np.array([2**64 - 1], np.uint64), f", step [0]: has the token {2**64 - 1}, expected 0 to 6"),
        (np.array([1.0]), f"{NO_TOKENS.format('float64')}; convert whole numbers with astype('int64')"),
        (np.array([True]), NO_TOKENS.format("bool")),
        (np.array(["1"]), NO_TOKENS.format("<U1")),
        (3, f"has the shape (), expected (time,) with at least one step{IN_A_LIST}"),
        (masked(2).astype(int), MASKED),
        (np.array([[1]]), "has the shape (1, 1), expected (time,) with at least one step"),
        (" ", "is empty, expected a text"),
    ],
)
def test_invalid_sequences_of_tokens(sequence: Any, reason: str, tmp_path: Path) -> None:
    _, file = texts(tmp_path)
    error = data_error(lambda: file.predict([sequence]))
    assert error == f"model.onnx: sequence [0]{'' if reason[0] == ',' else ': '}{reason}"


def test_a_single_text_and_a_single_sequence(tmp_path: Path) -> None:
    """A text is one sequence, not a list of characters; an array of two axes is one, but nested lists are several."""
    _, words = texts(tmp_path)
    assert words.predict("not bad") == words.predict(["not bad"])
    _, file = numbers(tmp_path)
    x = draw(2, 5)
    assert file.predict(x) == file.predict(list(x))
    assert file.predict(x[0]) == file.predict([x[0]])
    assert data_error(partial(file.predict, x[0].tolist())) == (
        f"model.onnx: sequence [0]: has the shape (8,), expected (time, 8) with at least one step{IN_A_LIST}"
    )


def test_padded_arrays(tmp_path: Path) -> None:
    _, file = numbers(tmp_path)
    x = draw(3, 5)
    padded = x.copy()
    padded[0, 2:] = padded[2, 4:] = np.nan
    assert file.predict(padded, [2, 5, 4]) == file.predict([x[0, :2], x[1], x[2, :4]])


@pytest.mark.parametrize(
    ("x", "lengths", "reason"),
    [
        (np.zeros((2, 8)), [2], "x: has the shape (2, 8), expected a padded array (sequences, time, features), since"),
        (
            np.zeros((2, 3, 8)),
            [2],
            "lengths: are int64 of the shape (1,), expected integers of the shape (2,), one for",
        ),
        (np.zeros((2, 3, 8)), [2, 1.5], "lengths: are float64 of the shape (2,), expected integers of the shape (2,)"),
        (np.zeros((2, 3, 8)), [2, 4], "lengths: [1] is 4, expected 1 to 3, the steps of x"),
        (np.zeros((2, 3, 8)), [0, 3], "lengths: [0] is 0, expected 1 to 3, the steps of x"),
    ],
)
def test_invalid_padded_arrays(x: Any, lengths: Any, reason: str, tmp_path: Path) -> None:
    _, file = numbers(tmp_path)
    assert data_error(lambda: file.predict(x, lengths)).startswith(reason)


def test_an_empty_mask_is_accepted(tmp_path: Path) -> None:
    _, file = numbers(tmp_path)
    x = draw(1, 4)
    assert file.predict(np.ma.masked_array(x)) == file.predict(x)
    assert np.array_equal(file.run(np.ma.masked_array(x, mask=False))["logits"], file.run(x)["logits"])


# --- batches, chunks and states -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (np.nan, "nan is not a finite number"),
        (np.inf, "inf is not a finite number"),
        (-1e39, "-1e+39 is more than float32 can hold"),
    ],
)
def test_numbers_that_are_not_finite(value: float, fault: str, tmp_path: Path) -> None:
    """They are rejected in a batch, a chunk and a state, unless allowed; then they reach ONNX Runtime."""
    whole = OnnxModel(write_verified(make_model("lstm"), tmp_path, lowering="scan"))
    model = OnnxModel(write_verified(make_model("lstm", pooling=None), tmp_path, streaming=True))
    x, stream = zeros_except((2, 5, 8), (1, 3, 2), value), model.stream()
    message = f"sequence [1], step [3], feature [2]: {fault}; {ALLOW}"
    assert data_error(lambda: whole.run(x)) == f"model.onnx: {message}"
    assert data_error(lambda: stream.push(x)) == f"model.stream.onnx: {message}"
    first = stream.push(draw(2, 3))["logits"]  # the first chunk, since the rejected one changed no state
    stream.reset()
    assert np.array_equal(stream.push(draw(2, 3))["logits"], first)
    with np.errstate(over="ignore"):
        narrow = x.astype(np.float32)
    expected = OnnxSession(whole.path).run(narrow)["logits"]
    assert np.array_equal(whole.run(x, allow_nonfinite=True)["logits"], expected, equal_nan=True)
    assert len(whole.predict(x, allow_nonfinite=True)) == 2
    assert stream.push(x, allow_nonfinite=True)["logits"].shape == (2, 5, CLASSES)


def test_a_state_that_is_not_finite(tmp_path: Path) -> None:
    model = OnnxModel(write_verified(make_model("lstm", pooling=None), tmp_path, states=True))
    x, h = draw(2, 3), zeros_except((2, 5), (1, 4), np.inf).astype(np.float32)
    assert data_error(lambda: model.run(x, states={"state_0_h": h})) == (
        f"model.onnx: state_0_h[1, 4]: inf is not a finite number; {ALLOW}"
    )
    given = {"state_0_h": np.ma.masked_array(np.zeros((2, 5), np.float32), mask=h > 0)}
    assert data_error(lambda: model.run(x, states=given)) == f"model.onnx: state_0_h: {MASKED}"
    assert model.run(x, states={"state_0_h": h}, allow_nonfinite=True)["logits"].shape == (2, 3, CLASSES)


def test_values_beyond_a_length_have_no_effect(tmp_path: Path) -> None:
    """NaN, infinity and any token are accepted there, and rejected within the length."""
    path = write_verified(make_model("lstm", takes_lengths=True), tmp_path, None, sequences(draw(2, 6), [6, 3]))
    model, x, lengths = OnnxModel(path), draw(2, 6).astype(np.float64), np.array([6, 3])
    expected = model.run(x, lengths)
    for value in (np.nan, np.inf, 1e39):
        x[1, 3:] = value
        actual = model.run(x, lengths)
        assert all(np.array_equal(actual[name], expected[name]) for name in expected)
    x[1, 2, 5] = np.nan
    assert data_error(lambda: model.run(x, lengths)).startswith("model.onnx: sequence [1], step [2], feature [5]: nan")
    _, words = texts(tmp_path)
    expected = words.run(np.array([[4, 3, 5], [2, 0, 0]]), np.array([3, 1]))
    for value in (-1, 7, -100):
        actual = words.run(np.array([[4, 3, 5], [2, value, value]]), np.array([3, 1]))
        assert all(np.array_equal(actual[name], expected[name]) for name in expected)


@pytest.mark.parametrize("token", [-1, 7, 2**63])
def test_tokens_outside_the_vocabulary(token: int, tmp_path: Path) -> None:
    """ONNX Runtime would accept -1 as the last token."""
    x = np.array([[1, 2], [3, token]], np.uint64 if token > 7 else np.int64)
    message = f"sequence [1], step [1]: has the token {token}, expected 0 to 6"
    _, file = texts(tmp_path)
    assert data_error(lambda: file.run(x)) == f"model.onnx: {message}"
    assert data_error(lambda: file.run(x, [2, 2])) == f"model.onnx: {message}"  # type: ignore[arg-type]
    model = make_model("lstm", encoder=zoo.OneHot(len(VOCABULARY)), pooling=None)
    signature = zoo.Signature(vocabulary=VOCABULARY, labels=LABELS, by_step=True)
    sample = sequences(np.random.default_rng(0).integers(len(VOCABULARY), size=(3, 9)))
    stream = OnnxModel(write_verified(model, tmp_path, signature, sample, streaming=True)).stream()
    assert data_error(lambda: stream.push(x)) == f"model.stream.onnx: {message}"


@pytest.mark.parametrize(
    ("x", "fault"),
    [
        (np.zeros((1, 2, 8), bool), f"{NO_NUMBERS.format('bool')}; convert them to 0 and 1 with astype('float32')"),
        (masked((1, 2, 8)), MASKED),
        ([[[0.0] * 8], [[0.0] * 7]], "contains lists or arrays of different shapes; give all of them one shape"),
    ],
)
def test_arrays_without_numbers(x: Any, fault: str, tmp_path: Path) -> None:
    whole = OnnxModel(write_verified(make_model("lstm"), tmp_path))
    chunks = OnnxModel(write_verified(make_model("lstm", pooling=None), tmp_path, streaming=True))
    assert data_error(lambda: whole.run(x)) == f"model.onnx: x: {fault}"
    assert data_error(lambda: chunks.stream().push(x)) == f"model.stream.onnx: x: {fault}"
