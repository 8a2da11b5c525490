"""`zoo.runtime`: predictions, batches, streams and threads with exported files, without torch and onnx."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from torch import nn

import zoo
from tests.runtime.verified import TEXTS, VOCABULARY, data_error, error_of, numbers, texts
from tests.support.files import LABELS, counting_file, rewrite, write_verified
from tests.support.models import CLASSES, FEATURES, draw, make_model, sequences
from zoo.parity import compare
from zoo.proof.oracle import Oracle
from zoo.runtime import OnnxModel
from zoo.runtime.answers import Prediction
from zoo.runtime.model import BATCH
from zoo.runtime.session import OnnxSession
from zoo.runtime.streaming import OnnxStream

HEAVY = (
    "polars",
    "pandas",
    "pyarrow",
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


def test_a_text_without_a_known_word_is_noted(tmp_path: Path) -> None:
    _, file = texts(tmp_path)
    inputs: list[Any] = ["quite unheard-of", "quite good", np.array([1, 1]), np.array([1, 2])]
    notes = [prediction.note for prediction in file.predict(inputs)]
    unknown = "contains no word that the model knows; the prediction depends on the number of words alone"
    assert notes == [unknown, "", unknown, ""]
    _, other = numbers(tmp_path)
    assert [prediction.note for prediction in other.predict(draw(1, 2))] == [""]


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


# --- dependencies ---------------------------------------------------------------------------------------------------


def test_numpy_and_onnx_runtime_suffice(tmp_path: Path) -> None:
    whole = write_verified(make_model("lstm"), tmp_path)
    chunks = write_verified(make_model("lstm", pooling=None), tmp_path, streaming=True)
    code = (
        "import sys, numpy; from zoo.runtime import OnnxModel; x = numpy.zeros((2, 3, 8)); "
        f"model = OnnxModel({str(whole)!r}); print(len(model.predict(list(x)))); "
        "model.predict(x, lengths=[1, 3]); "
        "model.predict({str(number): x[0, :, number] for number in range(8)}); "
        f"print(OnnxModel({str(chunks)!r}).stream().push(x)['logits'].shape); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, f"2\n(2, 3, {CLASSES})\n[]\n", "")
