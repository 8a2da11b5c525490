"""`zoo.runtime`: exported files in programs without torch and onnx, and the files and inputs that are rejected."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from torch import nn

import zoo
from tests.support.files import LABELS, counting_file, foreign_file, rewrite, write_verified
from tests.support.models import CLASSES, FEATURES, draw, make_model, sequences, write
from zoo.parity import compare
from zoo.proof.oracle import Oracle
from zoo.runtime import OnnxModel
from zoo.runtime.answers import Prediction
from zoo.runtime.model import BATCH
from zoo.runtime.session import OnnxSession
from zoo.runtime.state_inputs import ALLOW
from zoo.runtime.streaming import OnnxStream

HEAVY = (
    "torch",
    "onnx",
    "onnx_ir",
    "pydantic",
    "click",
    "yaml",
    "pluggy",
    "rich",
    "matplotlib",
    "sklearn",
    "safetensors",
)
VOCABULARY = ("<pad>", "<unk>", "good", "bad", "not", "at", "all")
IN_A_LIST = "; where x is one sequence, put it in a list: model.predict([x])"
NO_NUMBERS = "holds values of type {}, expected real numbers such as float32"
NO_TOKENS = "holds values of type {}, expected integers, one a token"
MASKED = "1 values are masked, expected none; fill them with filled(), or leave them out"
TEXTS = zoo.Signature(vocabulary=VOCABULARY, tokenizer="words", labels=LABELS, lengths=True)


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


def numbers(folder: Path, **options: Any) -> tuple[zoo.Model, OnnxModel]:
    """Return a model of numbers without lengths, in torch and as a verified file."""
    model = make_model("lstm", **options)
    return model, OnnxModel(write_verified(model, folder))


def texts(folder: Path, **options: Any) -> tuple[zoo.Model, OnnxModel]:
    """Return a model of words with lengths, in torch and as a verified file."""
    model = make_model("gru_after", encoder=zoo.Embedding(len(VOCABULARY), 3, 0.0), takes_lengths=True, **options)
    sample = sequences(np.random.default_rng(0).integers(len(VOCABULARY), size=(3, 9)), [4, 9, 1])
    signature = zoo.Signature(**{**TEXTS.to_dict(), "by_step": model.by_step})
    return model, OnnxModel(write_verified(model, folder, signature, sample))


def assert_answers(model: zoo.Model, predictions: list[Prediction], xs: list[np.ndarray[Any, Any]]) -> None:
    """Assert that each prediction is within the budget of the model's exact result for its sequence alone."""
    assert [prediction.source for prediction in predictions] == [f"[{number}]" for number in range(len(xs))]
    for prediction, x in zip(predictions, xs, strict=True):
        lengths = np.array([len(x)]) if model.takes_lengths else None
        expected = Oracle(model).expect(x[None], lengths=lengths)["probabilities"]
        answers = prediction.answers
        rows = [list(answer.probabilities.values()) for answer in answers]
        verdict = compare(expected, np.array(rows, np.float32).reshape(expected.exact.shape))
        assert verdict.status == "passed", verdict.reason
        assert [list(answer.probabilities) for answer in answers] == [list(LABELS)] * len(answers)
        assert [answer.label for answer in answers] == [LABELS[int(np.argmax(row))] for row in rows]
        steps = [None] if len(answers) == 1 and not model.by_step else list(range(1, len(x) + 1))
        assert [answer.step for answer in answers] == steps


def error_of(kind: type[zoo.ZooError], call: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def data_error(call: Callable[[], object]) -> str:
    return error_of(zoo.DataError, call)


# --- predictions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["last", None])
def test_sequences_of_any_lengths_without_lengths(pooling: str | None, tmp_path: Path) -> None:
    """They are batched in groups of equal length; the predictions keep the order of the sequences."""
    model, file = numbers(tmp_path, pooling=pooling)
    assert not file.takes_lengths
    xs = [draw(1, steps, seed)[0] for seed, steps in enumerate((3, 7, 3, 1, 7, 3))]
    assert_answers(model, file.predict(xs), xs)


@pytest.mark.parametrize("pooling", ["last", None])
def test_sequences_of_any_lengths_with_lengths(pooling: str | None, tmp_path: Path) -> None:
    """There are more sequences than fit into one batch."""
    model, file = texts(tmp_path, pooling=pooling)
    assert file.takes_lengths
    generator = np.random.default_rng(1)
    xs = [generator.integers(len(VOCABULARY), size=generator.integers(1, 12)) for _ in range(BATCH + 6)]
    predictions = file.predict(xs)
    assert_answers(model, predictions, xs)


def test_texts_and_their_tokens(tmp_path: Path) -> None:
    model, file = texts(tmp_path)
    given = ["Not bad at all", "good", "a word"]
    ids = [np.array([4, 3, 5, 6]), np.array([2]), np.array([1, 1])]
    predictions = file.predict(given)
    assert predictions == file.predict(ids) == file.predict([tokens.astype(np.int32) for tokens in ids])
    assert_answers(model, predictions, ids)
    assert file.predict([]) == []


def test_numbers_of_any_dtype(tmp_path: Path) -> None:
    _, file = numbers(tmp_path)
    x = draw(1, 4)[0].round()
    assert file.predict([x]) == file.predict([x.astype(np.float64)]) == file.predict([x.astype(np.uint8)])


def test_a_forecast_in_the_units_of_the_user(tmp_path: Path) -> None:
    """Two targets and a horizon of three steps."""
    model = make_model("lstm")
    model.head = nn.Linear(5, 6)
    model.readout = zoo.RescaleReadout(zoo.Scale((100.0, -5.0), (10.0, 2.0)), horizon=3)
    signature = zoo.Signature(features=FEATURES, targets=("price", "volume"), horizon=3)
    file = OnnxModel(write_verified(model.eval(), tmp_path, signature))
    (prediction,) = file.predict([draw(1, 5)[0]])
    expected = Oracle(model).expect(draw(1, 5))["y"]
    actual = np.array([[list(answer.numbers.values()) for answer in prediction.answers]], np.float32)
    assert compare(expected, actual).status == "passed"
    assert [(answer.step, list(answer.numbers)) for answer in prediction.answers] == [
        (step, ["price", "volume"]) for step in (1, 2, 3)
    ]


def test_run_returns_arrays(tmp_path: Path) -> None:
    _, file = texts(tmp_path)
    x, lengths = np.array([[4, 3, 5], [2, 0, 0]]), [3, 1]
    outputs = file.run(x, np.array(lengths, np.int32))
    assert list(outputs) == list(file.output_names) == ["logits", "probabilities"]
    assert np.array_equal(file.run(x.tolist(), lengths)["logits"], outputs["logits"])  # type: ignore[arg-type]
    assert file.signature == TEXTS
    assert json.loads(file.metadata["signature"])["tokenizer"] == "words"


def test_a_path_as_text(tmp_path: Path) -> None:
    path = write_verified(make_model("lstm"), tmp_path)
    assert OnnxModel(str(path), threads=1).predict([draw(1, 2)[0]]) == OnnxModel(path).predict([draw(1, 2)[0]])


def test_states_are_for_run_and_predict_leaves_them_out(tmp_path: Path) -> None:
    model = make_model("lstm", pooling=None)
    file, x = OnnxModel(write_verified(model, tmp_path, states=True)), draw(2, 6)
    first = file.run(x[:, :2])
    assert list(first) == ["logits", "probabilities", "next_state_0_h", "next_state_0_c"]
    states = {name: first[f"next_{name}"] for name in ("state_0_h", "state_0_c")}
    second = file.run(x[:, 2:], states=states)
    for name, expected in Oracle(model).expect(x).items():
        verdict = compare(expected, np.concatenate([first[name], second[name]], 1))
        assert verdict.status == "passed", verdict.reason
    assert_answers(model, file.predict(list(x)), list(x))


def test_states_do_not_make_a_stream(tmp_path: Path) -> None:
    """A reverse direction has states too, but they cannot continue in a next chunk."""
    file = OnnxModel(write_verified(make_model("lstm", direction="bidirectional"), tmp_path, states=True))
    assert "next_state_0_reverse_c" in file.output_names
    with pytest.raises(zoo.RunError, match="is for whole sequences, not for chunks"):
        file.stream()


@pytest.mark.parametrize("lengths", [True, False])
def test_a_fixed_number_of_steps(lengths: bool, tmp_path: Path) -> None:
    """Shorter sequences are padded if the model takes lengths, else rejected."""
    model = make_model("lstm", takes_lengths=lengths)
    sample = sequences(draw(2, 6), [6, 3] if lengths else None)
    file = OnnxModel(write_verified(model, tmp_path, None, sample, steps=8, lowering="unrolled"))
    xs = [draw(1, steps)[0] for steps in ((3, 8) if lengths else (8, 8))]
    assert_answers(model, file.predict(xs), xs)
    wrong = 9 if lengths else 3
    assert data_error(lambda: file.predict([draw(1, wrong)[0]])) == (
        f"model.onnx: takes exactly 8 steps, the number it was exported for, got {wrong}; give that many, or export "
        "the run with another lowering"
    )


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
            f"{NO_NUMBERS.format('datetime64[s]')}; give numbers, such as the seconds since some moment",
        ),
        (np.zeros((2, 8), "m8[s]"), f"{NO_NUMBERS.format('timedelta64[s]')}; give numbers, such as seconds"),
        ([[0.0] * 8, [0.0] * 7], "is no array of one shape; every list in it needs as many values as the others"),
        (masked((2, 8)), MASKED),
        ([masked(8), masked(8)], MASKED.replace("1 values", "2 values")),
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
    """A text is one sequence, not a list of characters; the array of one sequence is not a list of sequences."""
    _, words = texts(tmp_path)
    assert words.predict("not bad") == words.predict(["not bad"])
    _, file = numbers(tmp_path)
    x = draw(2, 5)
    assert file.predict(x) == file.predict(list(x))
    for given in (x[0], x[0].tolist()):
        assert data_error(partial(file.predict, given)) == (
            f"model.onnx: sequence [0]: has the shape (8,), expected (time, 8) with at least one step{IN_A_LIST}"
        )


def test_an_empty_mask_is_accepted(tmp_path: Path) -> None:
    _, file = numbers(tmp_path)
    x = draw(1, 4)
    assert file.predict(np.ma.masked_array(x)) == file.predict(x)
    assert np.array_equal(file.run(np.ma.masked_array(x, mask=False))["logits"], file.run(x)["logits"])


def test_a_text_without_a_known_word_is_noted(tmp_path: Path) -> None:
    _, file = texts(tmp_path)
    inputs: list[Any] = ["quite unheard-of", "quite good", np.array([1, 1]), np.array([1, 2])]
    notes = [prediction.note for prediction in file.predict(inputs)]
    unknown = "contains no word that the model knows; the prediction depends on the number of words alone"
    assert notes == [unknown, "", unknown, ""]
    _, other = numbers(tmp_path)
    assert [prediction.note for prediction in other.predict(draw(1, 2))] == [""]


# --- rejected values ------------------------------------------------------------------------------------------------


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
        ([[[0.0] * 8], [[0.0] * 7]], "is no array of one shape; every list in it needs as many values as the others"),
    ],
)
def test_arrays_without_numbers(x: Any, fault: str, tmp_path: Path) -> None:
    whole = OnnxModel(write_verified(make_model("lstm"), tmp_path))
    chunks = OnnxModel(write_verified(make_model("lstm", pooling=None), tmp_path, streaming=True))
    assert data_error(lambda: whole.run(x)) == f"model.onnx: x: {fault}"
    assert data_error(lambda: chunks.stream().push(x)) == f"model.stream.onnx: x: {fault}"


# --- streams --------------------------------------------------------------------------------------------------------


def test_a_stream(tmp_path: Path) -> None:
    model = OnnxModel(write_verified(make_model("lstm", pooling=None), tmp_path, streaming=True))
    stream, other, x = model.stream(), model.stream(), draw(2, 6)
    first, second = stream.push(x[:, :2]), stream.push(x[:, 2:])
    assert first.keys() == {"logits", "probabilities"}
    assert np.array_equal(other.push(x[:, :2])["logits"], first["logits"])  # with its own states
    assert np.array_equal(other.push(x[:, 2:])["logits"], second["logits"])
    stream.reset()
    assert np.array_equal(stream.push(x[:, :2])["logits"], first["logits"])


@pytest.mark.parametrize(("initial", "first"), [(5, 5), ([3], 3)])
def test_integer_states_start_at_the_initial_value(initial: object, first: int, tmp_path: Path) -> None:
    """The state counts steps, from another number than 0."""
    path = counting_file(tmp_path / "a.onnx", initial)
    file = onnx.load(path)
    file.metadata_props.append(onnx.StringStringEntryProto(key="takes", value="chunks"))
    stream = OnnxStream(OnnxSession(rewrite(path, file)))
    x = np.zeros((1, 3, 2), np.float32)
    assert [stream.push(x)["y"].item() for _ in range(3)] == [first, first + 3, first + 6]
    stream.reset()
    assert stream.push(x)["y"].item() == first


def test_files_for_chunks_and_for_whole_sequences(tmp_path: Path) -> None:
    whole = OnnxModel(write_verified(make_model("lstm"), tmp_path))
    chunks = OnnxModel(write_verified(make_model("lstm", pooling=None), tmp_path, streaming=True))
    assert error_of(zoo.RunError, whole.stream) == (
        f"{whole.path}: is for whole sequences, not for chunks; 'zoo export --onnx --streaming' writes one for chunks"
    )
    for call in (lambda: chunks.run(draw(1, 2)), lambda: chunks.predict([draw(1, 2)[0]])):
        assert error_of(zoo.RunError, call) == (
            f"{chunks.path}: is for chunks, not for whole sequences; call stream(), or name a file that 'zoo export "
            "--onnx' made without --streaming"
        )


# --- threads --------------------------------------------------------------------------------------------------------


def test_many_threads_share_a_model(tmp_path: Path) -> None:
    _, file = texts(tmp_path)
    generator = np.random.default_rng(1)
    batches = [[generator.integers(7, size=generator.integers(1, 9)) for _ in range(5)] for _ in range(64)]
    sequential = [file.predict(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(file.predict, batches)) == sequential


def test_many_threads_share_a_stream(tmp_path: Path) -> None:
    """All threads push the same chunk, so their order does not matter; the outputs are those of one thread."""
    model = OnnxModel(write_verified(make_model("lstm", pooling=None), tmp_path, streaming=True), threads=1)
    chunk, stream = draw(2, 3), model.stream()
    sequential = [stream.push(chunk)["logits"].tobytes() for _ in range(200)]
    assert len(set(sequential[:5])) == 5
    stream.reset()
    with ThreadPoolExecutor(8) as pool:
        concurrent = list(pool.map(lambda _: stream.push(chunk)["logits"].tobytes(), range(200)))
    assert sorted(concurrent) == sorted(sequential)


# --- rejected files -------------------------------------------------------------------------------------------------


def refused(path: Path) -> str:
    line = error_of(zoo.RunError, lambda: OnnxModel(path))
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line.removeprefix(f"{path}: ")


def test_a_missing_file(tmp_path: Path) -> None:
    assert refused(tmp_path) == "does not exist; 'zoo export --onnx' makes it"
    assert refused(tmp_path / "model.onnx") == "does not exist; 'zoo export --onnx' makes it"


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04"])
def test_a_file_that_is_not_onnx(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert refused(path).startswith("is not an ONNX file, or only a part of one (")


def test_a_file_of_another_program(tmp_path: Path) -> None:
    path = foreign_file(tmp_path / "foreign.onnx")
    assert refused(path) == (
        "carries no seal, so Recurrent Zoo did not write it, or an older version did; export the run again"
    )


def proven(path: Path, entry: str) -> Path:
    """Add a metadata entry for the proof to a file."""
    file = onnx.load(path)
    file.metadata_props.append(onnx.StringStringEntryProto(key="parity", value=entry))
    return rewrite(path, file)


@pytest.mark.parametrize(
    ("entry", "verdict"),
    [
        ('{"verdict": "failed"}', "failed"),
        ('{"verdict": "ill-conditioned"}', "ill-conditioned"),
        ('{"verdict": 1}', "unreadable"),
        ("[]", "unreadable"),
        ("passed", "unreadable"),
    ],
)
def test_a_file_that_did_not_pass_its_proof(entry: str, verdict: str, tmp_path: Path) -> None:
    path = proven(write_verified(make_model("lstm"), tmp_path), entry)
    assert refused(path) == (
        f"did not pass its proof, whose verdict is {verdict!r}; take a file that passed, look into this one with 'zoo "
        "bisect', or use it anyway with allow_unproven=True or 'zoo predict --rejected'"
    )
    assert len(OnnxModel(path, allow_unproven=True).predict(draw(2, 3))) == 2


def test_a_file_that_passed_its_proof(tmp_path: Path) -> None:
    OnnxModel(proven(write_verified(make_model("lstm"), tmp_path), '{"verdict": "passed"}'))


def test_bytes_that_look_like_a_flatbuffer_of_onnx_runtime(tmp_path: Path) -> None:
    """``ORTM`` in bytes 4 to 7, from 0, makes ONNX Runtime read its flatbuffer format, which no check here parses.

    The file begins with a field for the producer's name, which a later field of that number overrides.
    """
    path = write_verified(make_model("lstm"), tmp_path)
    plain = path.read_bytes()
    path.write_bytes(zoo.seal_onnx(b"\x12\x06..ORTM" + plain, {}))
    assert path.read_bytes()[4:8] == b"ORTM"
    predictions = OnnxModel(path).predict(draw(2, 3))
    path.write_bytes(plain)
    assert predictions == OnnxModel(path).predict(draw(2, 3))


def head_weight(file: onnx.ModelProto) -> Any:
    return next(tensor for tensor in file.graph.initializer if tensor.name == "head/weight")


def weights(file: onnx.ModelProto) -> None:
    tensor = head_weight(file)
    tensor.raw_data = bytes([tensor.raw_data[0] ^ 1]) + tensor.raw_data[1:]


def graph(file: onnx.ModelProto) -> None:
    file.graph.node[-1].attribute[0].i = 0


def entry(name: str, old: str, new: str) -> Callable[[onnx.ModelProto], None]:
    def change(file: onnx.ModelProto) -> None:
        (item,) = [item for item in file.metadata_props if item.key == name]
        assert old in item.value
        item.value = item.value.replace(old, new, 1)

    return change


@pytest.mark.parametrize(
    "change",
    [
        weights,
        graph,
        entry("signature", "label 3", "label 8"),
        entry("golden_logits", "A", "B"),
        entry("opset", "2", "3"),
    ],
    ids=["weights", "graph", "labels", "golden output", "opset"],
)
def test_a_file_that_was_altered(change: Callable[[onnx.ModelProto], None], tmp_path: Path) -> None:
    path = write_verified(make_model("lstm"), tmp_path)
    file = onnx.load(path)
    change(file)
    onnx.save(file, path)
    assert refused(path) == (
        "was altered since it was exported: its hash does not match; take the original file, or export the run again"
    )


def test_a_file_that_another_program_saved(tmp_path: Path) -> None:
    """onnx preserves the bytes; onnx-ir sorts the metadata, so that the seal is no longer at the end."""
    path = write_verified(make_model("lstm"), tmp_path)
    onnx.save(onnx.load(path), path)
    OnnxModel(path)
    ir.save(ir.load(path), path)
    assert refused(path) == (
        "was altered since it was exported, or another program saved it again: its seal is not at its end; take the "
        "original file, or export the run again"
    )


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("location", ["w.bin", "../w.bin"])
def test_weights_in_another_file_are_never_read(link: bool, location: str, tmp_path: Path) -> None:
    """In the same folder, outside it, or through a link. The other file is not opened."""
    folder = tmp_path / "model"
    folder.mkdir()
    path = write_verified(make_model("lstm"), folder)
    file = onnx.load(path)
    onnx.external_data_helper.convert_model_to_external_data(file, location="w.bin", size_threshold=0)
    onnx.save(file, path)
    other = folder / location
    other.unlink(missing_ok=True)
    if link:
        other.symlink_to("/dev/zero")  # reading it would never end
    file = onnx.load(path, load_external_data=False)
    for tensor in file.graph.initializer:
        for item in tensor.external_data:
            if item.key == "location":
                item.value = location
    rewrite(path, file)
    assert refused(path).endswith(
        "in another file, which is not read; Recurrent Zoo writes one file, so export the run again"
    )


def test_an_operator_of_a_custom_library(tmp_path: Path) -> None:
    path = foreign_file(tmp_path / "custom.onnx", "Mine", "my.ops")
    assert refused(path) == (
        "has the operator my.ops.Mine, which only a library of custom operators brings, and none is loaded; export the "
        "run again"
    )


@pytest.mark.parametrize("streaming", [False, True])
def test_wrong_golden_outputs(streaming: bool, tmp_path: Path) -> None:
    """A weight is changed under a valid seal, as if the machine computed the model wrongly."""
    path = write_verified(make_model("lstm", pooling=None), tmp_path, streaming=streaming)
    file = onnx.load(path)
    tensor = head_weight(file)
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[0, 0] += 1e-3
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    line = refused(rewrite(path, file))
    assert line.startswith("does not give its golden output on this machine: logits: error ")
    assert line.endswith(
        " times its budget; 'zoo check' shows where it differs; take another provider or another ONNX Runtime"
    )


@pytest.mark.parametrize("name", ["golden_input", "golden_logits", "golden_logits_sensitivity", "signature"])
def test_a_file_without_an_entry_that_zoo_writes(name: str, tmp_path: Path) -> None:
    path = write_verified(make_model("lstm"), tmp_path)
    file = onnx.load(path)
    file.metadata_props.remove(next(item for item in file.metadata_props if item.key == name))
    what = "signature" if name == "signature" else "golden input and output"
    assert refused(rewrite(path, file)) == (
        f"carries no {what}, so 'zoo export' did not write it; export the run again"
    )
    assert "carries no signature" in refused(write(make_model("lstm"), tmp_path))


# --- dependencies ---------------------------------------------------------------------------------------------------


def test_numpy_and_onnx_runtime_suffice(tmp_path: Path) -> None:
    whole = write_verified(make_model("lstm"), tmp_path)
    chunks = write_verified(make_model("lstm", pooling=None), tmp_path, streaming=True)
    code = (
        "import sys, numpy; from zoo.runtime import OnnxModel; x = numpy.zeros((2, 3, 8)); "
        f"print(len(OnnxModel({str(whole)!r}).predict(list(x)))); "
        f"print(OnnxModel({str(chunks)!r}).stream().push(x)['logits'].shape); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, f"2\n(2, 3, {CLASSES})\n[]\n", "")
